"""From an answered call to its record in the journal, before the answer leaves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json
from starlette.types import Scope

from services.core.access.caller import Caller
from services.core.calls.kinds import LIVE, CallKind
from services.core.calls.records import Sender, prediction_line
from services.prediction.call_kind import kind_of
from services.prediction.journal import Journal
from services.prediction.pseudonyms import Pseudonyms

OPEN = Sender("default", "open", "open")
"""Where nobody is asked who calls."""
CHUNK_BYTES = 262_144
"""A batch's records are written in pieces of this size, so that calls beside it need not wait long."""


def sender_of(scope: Scope) -> Sender:
    caller: Caller | None = scope.get("caller")
    return OPEN if caller is None else Sender(caller.centre, caller.kind, caller.id)


class Arrival(NamedTuple):
    """A request when it came in."""

    sender: Sender
    request_id: str
    at: float
    """Seconds since 1970."""
    started: float
    """The same moment on the clock that only moves forward."""
    kind: CallKind = LIVE

    @classmethod
    def of(cls, scope: Scope) -> Arrival:
        """
        Raises:
            RefusedError: 422, there is no such kind of call.
        """
        return cls(sender_of(scope), scope["request_id"], time.time(), time.perf_counter(), kind_of(scope))


class BatchRow(NamedTuple):
    """One answered row of a batch."""

    position: int
    request: dict[str, Any]
    incident: str | None
    decisions: bytes
    answer: bytes
    """JSON object of index, answer and warnings."""
    watched: bytes = b""
    """JSON object of what the use case derives for drift, where it does."""


class Recorder:
    """Writes the records of one use case."""

    def __init__(self, journal: Journal, pseudonyms: Pseudonyms | None, *, own_incident_field: bool) -> None:
        self._journal = journal
        self._pseudonyms = pseudonyms
        self._own_field = own_incident_field

    def call(
        self,
        arrival: Arrival,
        body: bytes,
        payload: Any,
        incident: str | None,
        *,
        decisions: bytes,
        answer: bytes,
        watched: bytes = b"",
    ) -> None:
        """Record one call. ``body`` is the request as it came, or as it may be kept where it held a picture, and
        ``answer`` what goes back: nothing is written out as JSON a second time unless fields have to be
        pseudonymised."""
        sender, _, at, started, _ = arrival
        kept = body if self._pseudonyms is None else to_json(self._pseudonyms.applied(payload))
        line = prediction_line(
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
        self._journal.write(line)

    def batch(self, arrival: Arrival, envelope: bytes, rows: Sequence[BatchRow]) -> None:
        """Record each row of a batch. ``envelope`` is the answer's JSON object without its rows. Not for
        the event loop."""
        sender, _, at, started, _ = arrival
        latency = int((time.perf_counter() - started) * 1e6)
        head = envelope[:-1] + b","
        lines: list[bytes] = []
        size = 0
        for row in rows:
            kept = row.request if self._pseudonyms is None else self._pseudonyms.applied(row.request)
            line = prediction_line(
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
            if size >= CHUNK_BYTES:
                self._journal.write(b"".join(lines), len(lines))
                lines, size = [], 0
        if lines:
            self._journal.write(b"".join(lines), len(lines))
