"""Drift monitoring and the retrainings and rollbacks that it triggers."""
