"""What the ingestion service tells about data: read from what is published, so that it is right after a restart too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.core.home import Home
from services.core.jobs.counters import Counters
from services.core.usecases import registry as declared


def show_rows(counters: Counters, home: Home) -> None:
    """Register the figures of all use cases' published tables."""
    counters.registry.register(PublishedRows(home, declared.names()))


class PublishedRows(Collector):
    def __init__(self, home: Home, use_cases: Sequence[str]) -> None:
        self._home, self._use_cases = home, use_cases

    def collect(self) -> Iterator[Metric]:
        rows = GaugeMetricFamily("vigie_ingested_rows", "Rows of the published tables.", labels=("use_case", "table"))
        quarantined = GaugeMetricFamily(
            "vigie_quarantined_rows", "Rows that were not let in, with their reasons.", labels=("use_case",)
        )
        published = GaugeMetricFamily(
            "vigie_data_published_timestamp_seconds", "When a run last published.", labels=("use_case",)
        )
        for use_case in self._use_cases:
            try:
                # Taken whole or not at all: what is published is moved there by one rename.
                found = json.loads((self._home.data(use_case) / "raw" / "manifest.json").read_bytes())
                since = self._home.current(use_case).lstat().st_mtime
            except OSError:
                continue  # nothing is published yet
            quarantined.add_metric((use_case,), found["quarantined"])
            published.add_metric((use_case,), since)
            for name, table in found["tables"].items():
                rows.add_metric((use_case, name), table["rows"])
        yield from (rows, quarantined, published)
