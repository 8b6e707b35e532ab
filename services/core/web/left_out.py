"""What a service tells of the use cases that it starts without."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from services.core.usecases import registry as declared


def count_skipped(metrics: CollectorRegistry, further: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the use cases that were left out, as they stand among the figures for Prometheus. The reasons are
    in the log and in ``./vigie doctor``: they hold paths, and health is public. ``further`` are those that are sound
    by themselves and that this service cannot carry."""
    names = tuple(sorted({*further, *(skipped.name for skipped in declared.skipped())}))
    gauge = Gauge("vigie_skipped_use_cases", "Use cases that are broken and left out.", registry=metrics)
    gauge.set(len(names))
    return names
