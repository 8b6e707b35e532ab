"""Prometheus metrics of the gateway."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class GatewayMetrics:
    """The gateway's counters and gauges in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.logins = Counter(
            "vigie_gateway_logins", "Sign-ins by grant and how they ended.", ["grant", "outcome"], registry=registry
        )
        self.lockouts = Counter(
            "vigie_gateway_lockouts", "Pauses after failed sign-ins.", ["subject"], registry=registry
        )
        self.token_reuse = Counter(
            "vigie_gateway_refresh_token_reuse", "Refresh tokens that were shown twice.", registry=registry
        )
        self.audit_entries = Counter(
            "vigie_gateway_audit_entries", "Entries added to the audit log.", ["service"], registry=registry
        )
        self.runs = Counter(
            "vigie_gateway_runs", "Runs by kind and how they ended.", ["kind", "state"], registry=registry
        )
        self.backend_failures = Counter(
            "vigie_gateway_backend_failures", "Calls of other services that failed.", ["backend"], registry=registry
        )
        self.frozen = Gauge("vigie_gateway_promotions_frozen", "1 while promotions are frozen.", registry=registry)
        self.retention = Gauge(
            "vigie_retention_last_success_timestamp_seconds",
            "When housekeeping last enforced retention; before the first time, when the platform was set up.",
            registry=registry,
        )
        self.approvals = Gauge(
            "vigie_gateway_runs_awaiting_approval", "Retrainings that wait for a person.", registry=registry
        )
        self.alerts = Counter(
            "vigie_gateway_alerts", "Alerts that opened and closed.", ["severity", "change"], registry=registry
        )
