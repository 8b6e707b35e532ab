"""Drift monitoring and what it triggers."""
