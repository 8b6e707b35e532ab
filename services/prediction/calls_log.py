"""The prediction log's parts put together: journal, delivery, database and metrics of one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.core.calls.database import CallsDatabase
from services.core.calls.records import Record
from services.core.calls.store import Poison, store
from services.core.usecases.contract import UseCase
from services.prediction.delivery import Delivery
from services.prediction.incidents import Incidents
from services.prediction.journal import Journal
from services.prediction.pseudonyms import Pseudonyms
from services.prediction.recording import Recorder
from services.prediction.settings import PredictionSettings

SEGMENT_BYTES = 4_194_304
_MEGABYTE = 1_048_576


class CallsLog:
    """Neither starting nor answering needs the database: it is met in the delivery's thread and by lists."""

    def __init__(self, settings: PredictionSettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self.database = CallsDatabase(settings)
        self.journal = Journal(
            settings.home.journal,
            limit_bytes=settings.prediction_journal_mb * _MEGABYTE,
            segment_bytes=min(SEGMENT_BYTES, settings.prediction_journal_mb * _MEGABYTE // 4),
        )
        self.delivery = Delivery(
            self.journal,
            self._keep,
            seconds=settings.prediction_journal_seconds,
            dead_letter_days=settings.shortest_retention_days,
        )
        registry.register(_Figures(self.journal, self.delivery))

    def recorder(self, use_case: UseCase) -> Recorder:
        key = self._settings.calls_pseudonym_key
        pseudonyms = None
        if use_case.name in self._settings.pseudonymised:
            assert key is not None
            pseudonyms = Pseudonyms(use_case, key.get_secret_value())
        own = Incidents(use_case.request).own_field
        return Recorder(self.journal, pseudonyms, own_incident_field=own)

    def _keep(self, records: Sequence[Record]) -> list[Poison]:
        return store(self.database.engine(), records)


class _Figures(Collector):
    """Read when Prometheus asks, so that counting costs a call nothing."""

    def __init__(self, journal: Journal, delivery: Delivery) -> None:
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
