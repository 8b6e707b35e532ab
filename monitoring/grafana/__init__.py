"""Grafana's dashboards as code. ``python -m monitoring.grafana.generate`` writes what Grafana reads."""
