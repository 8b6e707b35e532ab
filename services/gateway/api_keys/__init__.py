"""API keys and token signing keys."""
