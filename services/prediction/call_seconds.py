"""Counts how calls ended and how long they took: what the service's objectives are measured by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_fastapi_instrumentator.metrics import Info

from services.core.calls.kinds import KINDS, LIVE
from services.core.headers import CALL_KIND_HEADER, raw
from services.prediction.counters import Counters

OUTCOMES = ("answered", "refused", "failed")
_NAME = raw(CALL_KIND_HEADER)
_FIRST_DIGIT = {"2": "answered", "4": "refused"}
_KNOWN = {kind.encode(): kind for kind in KINDS}


class CallSeconds:
    """An instrumentation: called after each request that is counted. All series are there from the start, so that the
    first failure is an increase."""

    def __init__(self, counters: Counters, use_cases: Sequence[str]) -> None:
        self._observe: dict[tuple[str, str, str], Callable[[float], None]] = {
            (f"/v1/{use_case}/predict", kind, outcome): counters.calls.labels(use_case, kind, outcome).observe
            for use_case in use_cases
            for kind in KINDS
            for outcome in OUTCOMES
        }
        self._handlers = {handler for handler, _, _ in self._observe}

    def __call__(self, info: Info) -> None:
        handler = info.modified_handler
        if handler not in self._handlers:
            return
        outcome = _FIRST_DIGIT.get(info.modified_status[0], "failed")
        self._observe[handler, self._kind(info), outcome](info.modified_duration)

    @staticmethod
    def _kind(info: Info) -> str:
        """What the caller said; a word that is none of ours was refused, and that refusal is a live call's."""
        said = next((value for name, value in info.request.scope["headers"] if name == _NAME), b"")
        return _KNOWN.get(said, LIVE)
