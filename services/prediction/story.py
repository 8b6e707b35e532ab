"""The last line of a call's story: that it is in the database. The first is the edge's; the request id joins them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import structlog

from services.core.calls.records import Record
from services.core.calls.store import Poison

log = structlog.get_logger(__name__)

A_LINE = 20
"""Calls that one line tells of: a line for each would cost calls time where thousands come in a second."""


def tell(records: Sequence[Record], poison: Collection[Poison]) -> None:
    """Log what is stored now: ids, versions and times, nothing of what was asked or answered."""
    refused = {id(item.record) for item in poison}
    stored = [record for record in records if id(record) not in refused]
    calls = dict.fromkeys(_call(record) for record in stored if record.kind == "prediction")
    outcomes = dict.fromkeys(_outcome(record) for record in stored if record.kind == "outcome")
    for several in _lines(list(calls)):
        log.info("calls stored", calls=several)
    for several in _lines(list(outcomes)):
        log.info("outcomes stored", outcomes=several)


def _lines(told: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(told), A_LINE):
        yield told[start : start + A_LINE]


def _call(record: Record) -> str:
    row = record.row
    took = row["latency_us"] / 1_000
    return (
        f"{row['request_id']} {row['use_case']} {row['kind']} {row['source']} version {row['model_version']}"
        f" in {took:.1f} ms"
    )


def _outcome(record: Record) -> str:
    row = record.row
    return f"{row['request_id'] or row['prediction_id'] or 'by incident'} {row['use_case']} {row['kind']}"
