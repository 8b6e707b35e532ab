"""A model on disk without pickle, and the one predictor that reads it."""

import os

# ONNX Runtime's Linux builds report their use from 1.29 on; what dispatch centres run does not.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
