"""Alerts received from Alertmanager."""
