"""What goes round every answer of one use case: who answered, and from what, as JSON."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from services.core.calls.kinds import CallKind
from services.core.usecases.contract import UseCase
from services.prediction.schemas import Source
from services.prediction.slots import Serving


class Envelope:
    def __init__(self, use_case: UseCase) -> None:
        self._use_case = use_case.name

    def around(
        self,
        serving: Serving,
        source: Source,
        request_id: str,
        kind: CallKind,
        *,
        warnings: list[dict[str, Any]],
        body: dict[str, Any],
    ) -> bytes:
        return to_json(
            {
                "request_id": request_id,
                "use_case": self._use_case,
                "model_version": serving.version,
                "source": source,
                "kind": kind,
                "simulated": serving.simulated,
                "warnings": warnings,
                **body,
            }
        )
