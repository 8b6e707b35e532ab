"""Alerts from Alertmanager."""
