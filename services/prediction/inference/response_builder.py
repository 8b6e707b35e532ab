"""Builds the JSON response (metadata and answer), encodes the decisions and counts predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from services.core.contract.use_case import BinaryClassification, BinaryPrediction, TargetPrediction, UseCase
from services.core.prediction_log.traffic_type import TrafficType
from services.prediction.api.schemas import PredictionSource
from services.prediction.inference.served_model import ServedModel


class Decision(NamedTuple):
    word: str
    """What the first target that decides says, for the counters."""
    by_target: bytes
    """JSON object, target -> decision, of the targets that decide."""


class DecisionEncoder:
    def __init__(self, use_case: UseCase) -> None:
        self._decides = [target.name for target in use_case.targets if isinstance(target.output, BinaryClassification)]
        self._decided: dict[tuple[bool, ...], Decision] = {}

    def of(self, values: Mapping[str, TargetPrediction]) -> Decision:
        """What the targets that decide say; kept, because there are few ways to decide and many calls."""
        said = []
        for name in self._decides:
            value = values[name]
            assert isinstance(value, BinaryPrediction)
            said.append(bool(value.decision))
        key = tuple(said)
        found = self._decided.get(key)
        if found is None:
            word = "none" if not said else "yes" if said[0] else "no"
            found = Decision(word, to_json(dict(zip(self._decides, said, strict=True))))
            self._decided[key] = found
        return found


class ResponseBuilder:
    def __init__(self, use_case: UseCase) -> None:
        self._use_case = use_case.name

    def around(
        self,
        serving: ServedModel,
        source: PredictionSource,
        request_id: str,
        kind: TrafficType,
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
