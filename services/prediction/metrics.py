"""Prometheus metrics of the prediction service: predictions, latency by outcome, model swaps and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_fastapi_instrumentator.metrics import Info

from services.core.auth.principal import AUTH_ERROR_KEY, AuthErrorCode
from services.core.headers import CALL_KIND_HEADER, LIVE, TRAFFIC_TYPES, raw

LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Histogram buckets in seconds, finest in the milliseconds that a prediction takes."""


class PredictionMetrics:
    """The service's Prometheus metrics, registered in ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.calls = Histogram(
            "vigie_call_duration_seconds",
            "Single calls from their arrival here to their answer, by how they ended: answered, refused or failed.",
            ("use_case", "kind", "outcome"),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.predictions = Counter(
            "vigie_predictions",
            "Rows answered.",
            ("use_case", "version", "source", "decision", "kind"),
            registry=registry,
        )
        self.refused_rows = Counter(
            "vigie_refused_rows", "Rows that did not validate.", ("use_case", "kind"), registry=registry
        )
        self.failures = Counter(
            "vigie_prediction_failures",
            "Rows that the model failed on; the baseline answered them.",
            ("use_case", "version", "kind"),
            registry=registry,
        )
        self.together = Histogram(
            "vigie_calls_per_prediction",
            "Calls that arrived together and shared one prediction.",
            ("use_case",),
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )
        self.swaps = Counter("vigie_model_swaps", "Models put into service.", ("use_case",), registry=registry)
        self.swap_seconds = Histogram(
            "vigie_model_swap_seconds",
            "From seeing a new champion to serving it.",
            ("use_case",),
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=registry,
        )
        self.load_failures = Counter(
            "vigie_model_load_failures",
            "Bundles that were refused.",
            ("use_case", "origin"),
            registry=registry,
        )
        self.registry_failures = Counter(
            "vigie_registry_failures", "Polls that the registry did not answer.", ("use_case",), registry=registry
        )
        self.model_created = Gauge(
            "vigie_model_created_timestamp_seconds", "When the served model was made.", ("use_case",), registry=registry
        )
        self.model_age = Gauge("vigie_model_age_seconds", "Age of the served model.", ("use_case",), registry=registry)
        self.registry_confirmed = Gauge(
            "vigie_champion_confirmed",
            "1 where the registry confirmed the served model within the last minute.",
            ("use_case",),
            registry=registry,
        )


class RowCounts:
    """Counts answered rows of one use case by version, source, decision and traffic type."""

    def __init__(self, use_case: str, counters: PredictionMetrics) -> None:
        self._use_case = use_case
        self._predictions = counters.predictions
        self._increments: dict[tuple[str, ...], Callable[[float], None]] = {}

    def add(self, version: str, source: str, kind: str, decisions: Sequence[str]) -> None:
        """Count one row per element of ``decisions``, the rows' decision labels."""
        if len(decisions) == 1:
            self._increment(version, source, decisions[0], kind)(1)
        else:
            for decision in set(decisions):
                self._increment(version, source, decision, kind)(decisions.count(decision))

    def _increment(self, *labels: str) -> Callable[[float], None]:
        """The cached counter of these labels: looking it up costs more than incrementing."""
        increment = self._increments.get(labels)
        if increment is None:
            increment = self._increments[labels] = self._predictions.labels(self._use_case, *labels).inc
        return increment


CALL_RESULTS = ("answered", "refused", "failed")
_HEADER_NAME = raw(CALL_KIND_HEADER)
_RESULT_BY_STATUS_CLASS = {"2": "answered", "4": "refused"}
_TRAFFIC_TYPES = {kind.encode(): kind for kind in TRAFFIC_TYPES}


class CallLatencyInstrumentation:
    """Instrumentation that records the latency of each single call by traffic type and outcome. All series exist from
    the start, so that the first failure is an increase."""

    def __init__(self, counters: PredictionMetrics, use_cases: Sequence[str]) -> None:
        self._observe: dict[tuple[str, str, str], Callable[[float], None]] = {
            (f"/v1/{use_case}/predict", kind, outcome): counters.calls.labels(use_case, kind, outcome).observe
            for use_case in use_cases
            for kind in TRAFFIC_TYPES
            for outcome in CALL_RESULTS
        }
        self._handlers = {handler for handler, _, _ in self._observe}

    def __call__(self, info: Info) -> None:
        handler = info.modified_handler
        if handler not in self._handlers:
            return
        outcome = _RESULT_BY_STATUS_CLASS.get(info.modified_status[0], "failed")
        if info.request.scope.get(AUTH_ERROR_KEY) is AuthErrorCode.UNCONFIRMED:
            outcome = "refused"  # anybody can send a key that nobody knows: that is no failure of ours
        self._observe[handler, self._kind(info), outcome](info.modified_duration)

    @staticmethod
    def _kind(info: Info) -> str:
        """The traffic type in the header. An unknown one was refused, and the refusal counts as a live call's."""
        said = next((value for name, value in info.request.scope["headers"] if name == _HEADER_NAME), b"")
        return _TRAFFIC_TYPES.get(said, LIVE)
