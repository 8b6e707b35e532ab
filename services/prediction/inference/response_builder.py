"""Builds the JSON response: metadata, the use case's answer and the typed prediction for each target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic_core import to_json

from services.core.auth.snapshot import Withdrawal
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


class Stop(NamedTuple):
    """What an emergency stop takes out of an answer."""

    targets: frozenset[str]
    """Those whose advice is withdrawn."""
    whole: bool
    warnings: list[dict[str, Any]]
    figures: Literal["baseline", "none"]

    @classmethod
    def of(
        cls, use_case: UseCase, active: Sequence[Withdrawal], version: str, figures: Literal["baseline", "none"]
    ) -> Stop | None:
        """What the withdrawals of this use case mean for an answer of ``version``; None if nothing."""
        found = [entry for entry in active if entry.version is None or str(entry.version) == version]
        if not found:
            return None
        every = frozenset(target.name for target in use_case.modelling.targets)
        named = {entry.target for entry in found}
        targets = every if None in named else frozenset(name for name in every if name in named)
        warnings = [
            {
                "code": "withdrawn",
                "field": None,
                "message": f"The model's advice{f' on {entry.target}' if entry.target else ''} was withdrawn by "
                f"{entry.by} on {entry.at:%Y-%m-%d at %H:%M} UTC: {entry.reason}",
                "withdrawal": entry.model_dump(mode="json"),
            }
            for entry in found
        ]
        return cls(targets, targets == every, warnings, figures)

    def applied(
        self, use_case: UseCase, values: Mapping[str, TargetPrediction], fields: Mapping[str, Any]
    ) -> dict[str, TargetPrediction]:
        """The values with the baseline's in place of those that are withdrawn."""
        usual, _ = use_case.serving.fallback_prediction(fields)
        return {name: usual[name] if name in self.targets else value for name, value in values.items()}

    @property
    def hidden(self) -> frozenset[str]:
        """Targets without figures."""
        return self.targets if self.figures == "none" else frozenset()


class DecisionEncoder:
    """Encodes the decisions of binary targets as JSON."""

    def __init__(self, use_case: UseCase) -> None:
        self._decides = [
            target.name for target in use_case.modelling.targets if isinstance(target.output, BinaryClassification)
        ]
        self._decided: dict[tuple[bool, ...], Decision] = {}

    def of(self, values: Mapping[str, TargetPrediction], stop: Stop | None = None) -> Decision:
        """Decision of the targets that have one; cached, because few combinations recur in many calls."""
        if stop is not None and stop.hidden:
            shown = {}
            for name in self._decides:
                value = values[name]
                if name not in stop.hidden and isinstance(value, BinaryPrediction):
                    shown[name] = bool(value.decision)
            return Decision("none", to_json(shown))
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
        self,
        values: Mapping[str, TargetPrediction],
        facts: Mapping[str, Any],
        fields: Mapping[str, Any],
        stop: Stop | None = None,
    ) -> dict[str, Any]:
        """Body of one row: the use case's answer and the typed prediction of each target."""
        if stop is not None:
            return self._stopped(values, facts, fields, stop)
        answer = self._compose(values, facts, fields)
        if self._adjust is not None:
            values = self._adjust(values, facts)
        return {
            "answer": answer,
            "predictions": {name: _prediction_fields(values[name], unit) for name, unit in self._units},
        }

    def _stopped(
        self, values: Mapping[str, TargetPrediction], facts: Mapping[str, Any], fields: Mapping[str, Any], stop: Stop
    ) -> dict[str, Any]:
        """Body with withdrawn targets marked, or null; an answer that would be composed of them is null too."""
        body = self.body(values, facts, fields)
        for name in stop.targets:
            body["predictions"][name]["withdrawn"] = True
        if not stop.hidden:
            return body
        shown = {name: None if name in stop.hidden else value for name, value in body["predictions"].items()}
        return {"answer": None, "predictions": None if stop.whole else shown}

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
