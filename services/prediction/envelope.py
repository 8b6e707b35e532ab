"""What goes round every answer of one use case: who answered, and from what, as JSON. Answers are counted here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic_core import to_json

from services.core.calls.kinds import CallKind
from services.core.usecases.contract import UseCase
from services.prediction.counters import Counters
from services.prediction.schemas import Source
from services.prediction.slots import Serving


class Envelope:
    def __init__(self, use_case: UseCase, counters: Counters) -> None:
        self._use_case = use_case.name
        self._counters = counters
        self._counted: dict[tuple[str, str, str, str], Callable[[float], None]] = {}

    def around(
        self,
        serving: Serving,
        source: Source,
        request_id: str,
        kind: CallKind,
        *,
        warnings: list[dict[str, Any]],
        body: dict[str, Any],
        decisions: Sequence[str],
    ) -> bytes:
        """``decisions`` are the words of the rows answered."""
        version = serving.version
        if len(decisions) == 1:
            self._count(version, source, decisions[0], kind)(1)
        else:
            for decision in set(decisions):
                self._count(version, source, decision, kind)(decisions.count(decision))
        return to_json(
            {
                "request_id": request_id,
                "use_case": self._use_case,
                "model_version": version,
                "source": source,
                "kind": kind,
                "simulated": serving.simulated,
                "warnings": warnings,
                **body,
            }
        )

    def _count(self, version: str, source: str, decision: str, kind: CallKind) -> Callable[[float], None]:
        """The counter's child, kept: looking it up by labels costs more than counting."""
        key = (version, source, decision, kind)
        found = self._counted.get(key)
        if found is None:
            found = self._counters.predictions.labels(self._use_case, *key).inc
            self._counted[key] = found
        return found
