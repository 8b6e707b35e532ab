"""The gateway stays light: it starts fast and shares the small image with prediction."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pandas", "mlflow", "sklearn", "xgboost", "onnxruntime", "pyarrow", "scipy", "airflow")


def test_starting_the_gateway_imports_nothing_heavy() -> None:
    program = f"import sys, services.gateway.app; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
