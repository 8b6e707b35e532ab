"""Builds the JSON response: metadata, the use case's answer and the typed prediction for each target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_json

from services.core.contract.outputs import unit_of
from services.core.contract.use_case import (
    BinaryClassification,
    BinaryPrediction,
    RegressionPrediction,
    TargetPrediction,
    UseCase,
)
from services.core.headers import TrafficType
from services.prediction.api.schemas import PredictionSource

if TYPE_CHECKING:
    from services.prediction.inference.served_model import ServedModel


class Decision(NamedTuple):
    """Decisions of one answer."""

    word: str
    """Decision of the first target that has one, for the metrics."""
    by_target: bytes
    """JSON object, target -> decision, of the targets that have one."""


class DecisionEncoder:
    """Encodes the decisions of binary targets as JSON."""

    def __init__(self, use_case: UseCase) -> None:
        self._decides = [
            target.name for target in use_case.modelling.targets if isinstance(target.output, BinaryClassification)
        ]
        self._decided: dict[tuple[bool, ...], Decision] = {}

    def of(self, values: Mapping[str, TargetPrediction]) -> Decision:
        """Decision of the targets that have one; cached, because few combinations recur in many calls."""
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
    """Builds the response body of one use case."""

    def __init__(self, use_case: UseCase) -> None:
        self._use_case = use_case.name
        self._compose, self._adjust = use_case.serving.build_response, use_case.serving.adjust
        self._units = [(target.name, unit_of(target.output)) for target in use_case.modelling.targets]

    def body(
        self, values: Mapping[str, TargetPrediction], facts: Mapping[str, Any], fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Body of one row: the use case's answer and the typed prediction of each target."""
        answer = self._compose(values, facts, fields)
        if self._adjust is not None:
            values = self._adjust(values, facts)
        return {
            "answer": answer,
            "predictions": {name: _prediction_fields(values[name], unit) for name, unit in self._units},
        }

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


def _prediction_fields(prediction: TargetPrediction, unit: str) -> dict[str, Any]:
    """Fields of ``schemas.TargetResponse`` as plain values, not validated: that would cost each call time."""
    if isinstance(prediction, RegressionPrediction):
        return {
            "kind": "quantity",
            "unit": unit,
            "value": prediction.value,
            "lower": prediction.lower,
            "upper": prediction.upper,
        }
    if isinstance(prediction, BinaryPrediction):
        return {
            "kind": "probability",
            "unit": unit,
            "value": prediction.probability,
            "decision": bool(prediction.decision),
            "threshold": prediction.threshold,
        }
    labels, shares = prediction.labels, prediction.probabilities
    return {
        "kind": "classes",
        "unit": unit,
        "value": labels[max(range(len(labels)), key=shares.__getitem__)],
        "probabilities": dict(zip(labels, shares, strict=True)),
        "names": prediction.names or {},
    }
