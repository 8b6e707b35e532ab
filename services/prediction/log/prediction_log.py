"""The prediction log: records each answered call before the response is sent.

Request context and traffic type, pseudonymisation, and the parts (WAL, shipper, database, metrics)."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from pydantic_core import to_json
from starlette.types import Scope

from services.core.auth.principal import Principal
from services.core.contract.use_case import UseCase
from services.core.headers import CALL_KIND_HEADER, EXERCISE, LIVE, TRAFFIC_TYPES, TrafficType, raw
from services.core.prediction_log.records import PSEUDONYM_PREFIX, AnsweredRow, CallOrigin, Record, encode_prediction
from services.core.prediction_log.store import PredictionLogDatabase, RejectedRecord, store_records
from services.core.web.errors import http_error
from services.prediction.api.request_body import IncidentIdExtractor
from services.prediction.log.wal import WriteAheadLog
from services.prediction.log.wal_shipper import WalShipper
from services.prediction.settings import PredictionSettings

_HEADER_NAME = raw(CALL_KIND_HEADER)
_TRAFFIC_TYPES: dict[bytes, TrafficType] = {kind.encode(): kind for kind in TRAFFIC_TYPES}

TRAFFIC_TYPE_OPENAPI: dict[str, Any] = {
    "parameters": [
        {
            "name": CALL_KIND_HEADER,
            "in": "header",
            "required": False,
            "description": "An exercise's calls count nowhere; a simulator's never join real data.",
            "schema": {"type": "string", "enum": list(TRAFFIC_TYPES), "default": LIVE},
            "example": EXERCISE,  # default in Swagger UI
        }
    ]
}
"""The header's parameter in the OpenAPI document."""


def parse_traffic_type(scope: Scope) -> TrafficType:
    """Parse the traffic type header.

    Raises:
        HttpError: 422, unknown traffic type: a call of unclear type must not count as live.
    """
    said: list[bytes] = [value for name, value in scope["headers"] if name == _HEADER_NAME]
    if not said:
        return LIVE
    kind = _TRAFFIC_TYPES.get(said[0]) if len(said) == 1 else None
    if kind is None:
        allowed = "one of " + ", ".join(TRAFFIC_TYPES) + ", once, or no such header"
        raise http_error(422, "call_kind", "There is no such kind of call.", field=CALL_KIND_HEADER, allowed=allowed)
    return kind


class Pseudonymizer:
    """Replaces the fields that the use case declares as ``personal`` by keyed pseudonyms."""

    def __init__(self, use_case: UseCase, key: str) -> None:
        self._use_case = use_case.name
        self._personal = use_case.serving.pii_fields
        self._key = key.encode()

    def apply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the request with personal fields pseudonymised."""
        kept = dict(request)
        for name, step in self._personal.items():
            value = kept.get(name)
            if isinstance(value, str):
                kept[name] = self._pseudonym(name, value)
            elif isinstance(value, int | float) and not isinstance(value, bool) and step is not None:
                kept[name] = round(round(value / step) * step, 9)
            elif value is not None:
                del kept[name]
        return kept

    def _pseudonym(self, field: str, text: str) -> str:
        said = f"{self._use_case}|{field}|{' '.join(text.split()).casefold()}"
        return PSEUDONYM_PREFIX + hmac.new(self._key, said.encode("utf-8", "replace"), "sha256").hexdigest()[:20]


ANONYMOUS_ORIGIN = CallOrigin("default", "open", "open")
"""Origin of calls in open mode, where callers are not authenticated."""
WRITE_CHUNK_BYTES = 262_144
"""Records of a batch are written in chunks of this size, so that concurrent calls wait only briefly."""


def call_origin_of(scope: Scope) -> CallOrigin:
    caller: Principal | None = scope.get("caller")
    return ANONYMOUS_ORIGIN if caller is None else CallOrigin(caller.centre, caller.kind, caller.id)


class RequestContext(NamedTuple):
    """Arrival time, id, principal and traffic type of a request."""

    sender: CallOrigin
    request_id: str
    at: float
    """Wall-clock time of arrival, Unix seconds."""
    started: float
    """The same moment on the monotonic clock."""
    kind: TrafficType = LIVE

    @classmethod
    def of(cls, scope: Scope) -> RequestContext:
        """Create the context of an arriving request.

        Raises:
            HttpError: 422, unknown traffic type.
        """
        return cls(
            call_origin_of(scope), scope["request_id"], time.time(), time.perf_counter(), parse_traffic_type(scope)
        )


class PredictionRecorder:
    """Writes the records of one use case to the write-ahead log."""

    def __init__(self, journal: WriteAheadLog, pseudonyms: Pseudonymizer | None, *, own_incident_field: bool) -> None:
        self._journal = journal
        self._pseudonyms = pseudonyms
        self._own_field = own_incident_field

    def call(
        self,
        arrival: RequestContext,
        body: bytes,
        payload: Any,
        incident: str | None,
        *,
        decisions: bytes,
        answer: bytes,
        watched: bytes = b"",
    ) -> bool:
        """Record one call; False if the log did not take it. ``body`` is the request as received, or its storable form
        if it held an image; ``answer`` is the response. Both are reused as bytes: nothing is serialised a second time
        unless fields have to be pseudonymised."""
        sender, _, at, started, _ = arrival
        kept = body if self._pseudonyms is None else to_json(self._pseudonyms.apply(payload))
        line = encode_prediction(
            sender,
            incident=incident,
            own_field=self._own_field,
            row=None,
            at=at,
            latency_us=int((time.perf_counter() - started) * 1e6),
            pseudonymised=self._pseudonyms is not None,
            decisions=decisions,
            request=kept,
            response=answer,
            watched=watched,
        )
        return self._journal.write(line)

    def batch(self, arrival: RequestContext, envelope: bytes, rows: Sequence[AnsweredRow]) -> bool:
        """Record each row of a batch; False if the log did not take all. ``envelope`` is the response's JSON object
        without its rows. Not for the event loop."""
        sender, _, at, started, _ = arrival
        latency = int((time.perf_counter() - started) * 1e6)
        head = envelope[:-1] + b","
        lines: list[bytes] = []
        size, whole = 0, True
        for row in rows:
            kept = row.request if self._pseudonyms is None else self._pseudonyms.apply(row.request)
            line = encode_prediction(
                sender,
                incident=row.incident,
                own_field=self._own_field,
                row=row.position,
                at=at,
                latency_us=latency,
                pseudonymised=self._pseudonyms is not None,
                decisions=row.decisions,
                request=to_json(kept),
                response=head + row.answer[1:],
                watched=row.watched,
            )
            lines.append(line)
            size += len(line)
            if size >= WRITE_CHUNK_BYTES:
                whole &= self._journal.write(b"".join(lines), len(lines))
                lines, size = [], 0
        if lines:
            whole &= self._journal.write(b"".join(lines), len(lines))
        return whole


SEGMENT_BYTES = 4_194_304
_MEGABYTE = 1_048_576


class PredictionLog:
    """WAL, shipper, database and metrics. Only the shipper and lists use the database; start-up does not."""

    def __init__(self, settings: PredictionSettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self.database = PredictionLogDatabase(settings)
        self.journal = WriteAheadLog(
            settings.home.journal,
            limit_bytes=settings.prediction_journal_mb * _MEGABYTE,
            segment_bytes=min(SEGMENT_BYTES, settings.prediction_journal_mb * _MEGABYTE // 4),
        )
        self.delivery = WalShipper(
            self.journal,
            self._keep,
            seconds=settings.prediction_journal_seconds,
            dead_letter_days=settings.shortest_retention_days,
        )
        registry.register(_PredictionLogCollector(self.journal, self.delivery))

    def recorder(self, use_case: UseCase) -> PredictionRecorder:
        key = self._settings.calls_pseudonym_key
        pseudonyms = None
        if use_case.name in self._settings.pseudonymised:
            assert key is not None
            pseudonyms = Pseudonymizer(use_case, key.get_secret_value())
        own = IncidentIdExtractor(use_case.serving.request).own_field
        return PredictionRecorder(self.journal, pseudonyms, own_incident_field=own)

    def _keep(self, records: Sequence[Record]) -> list[RejectedRecord]:
        return store_records(self.database.engine(), records)


class _PredictionLogCollector(Collector):
    """Collects on scrape, so that counting costs no time per call."""

    def __init__(self, journal: WriteAheadLog, delivery: WalShipper) -> None:
        self._journal = journal
        self._delivery = delivery

    def collect(self) -> Iterator[Metric]:
        journal, delivery = self._journal, self._delivery
        yield GaugeMetricFamily("vigie_journal_bytes", "Waiting on disk for the database.", journal.waiting_bytes)
        yield GaugeMetricFamily("vigie_journal_limit_bytes", "What may wait there at most.", journal.limit_bytes)
        yield GaugeMetricFamily("vigie_journal_segments", "Files of this process's journal.", journal.segments())
        yield GaugeMetricFamily(
            "vigie_journal_oldest_seconds", "How long the oldest record has waited.", journal.oldest_seconds()
        )
        yield CounterMetricFamily("vigie_journal_written", "Records written to disk.", journal.written)
        yield CounterMetricFamily("vigie_journal_delivered", "Records stored in the database.", delivery.delivered)
        yield CounterMetricFamily(
            "vigie_journal_dropped", "Records that the disk or the limit did not let in.", journal.dropped
        )
        yield CounterMetricFamily(
            "vigie_journal_dead_letters", "Records that the database refused for good.", delivery.dead_letters.count
        )
        yield CounterMetricFamily("vigie_journal_torn", "Records cut off when a process ended.", delivery.torn)
        yield CounterMetricFamily("vigie_journal_failures", "Deliveries that did not go through.", delivery.failures)
