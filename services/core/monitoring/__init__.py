"""Monitoring data and metrics: alerts, the state of drift monitoring, metrics of processes."""
