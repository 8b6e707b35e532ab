"""Alerts that Alertmanager told the gateway, kept so that people see them on the dashboard."""
