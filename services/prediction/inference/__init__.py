"""Inference: from validated requests to predictions, responses and explanations."""
