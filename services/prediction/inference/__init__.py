"""From validated requests to predictions, responses and explanations."""
