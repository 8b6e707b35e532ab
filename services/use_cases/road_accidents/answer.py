"""Response model of ``road_accidents``, and the rules that compose it from the models' predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.core.contract.fields import response_field
from services.core.contract.use_case import BinaryPrediction, MultiClassPrediction, TargetPrediction, Text

SEVERITIES = ("slight", "hospital", "killed")
COST_OF_MISS = 1.9
COST_OF_FALSE_ALARM = 1.0
THRESHOLD = COST_OF_FALSE_ALARM / (COST_OF_FALSE_ALARM + COST_OF_MISS)
"""Where the costs balance for a calibrated probability; the baseline decides by it."""

MAXIMUM_KILLED = 0.15
"""Probability of a death from which the fullest response is proposed: three times the average accident's."""
MANY_PEOPLE = 10
"""From so many people on, a plan for many victims is considered whatever the models say."""


class PriorityAnswer(BaseModel):
    probability: float = Field(description="Calibrated probability that someone is killed or taken to hospital.")
    decision: bool = Field(description="The probability reaches the threshold: treat as a priority.")
    threshold: float = Field(description="Where the stated costs of a miss and of a false alarm balance.")


class SeverityProbabilities(BaseModel):
    slight: float
    hospital: float
    killed: float


class SeverityAnswer(BaseModel):
    most_likely: Literal["slight", "hospital", "killed"] = Field(description="The most probable worst outcome.")
    probabilities: SeverityProbabilities = Field(description="Probability of each worst outcome; they sum to 1.")


class RoadAccidentAnswer(BaseModel):
    priority: PriorityAnswer
    severity: SeverityAnswer
    response: Literal["standard", "priority", "maximum"] = response_field(
        Text("Proposed response", "Réponse proposée"),
        Text(
            "Proposed level: maximum where a death is probable enough or many people are involved, priority where the "
            "decision says so, else standard.",
            "Niveau proposé : maximum si un décès est assez probable ou si beaucoup de personnes sont impliquées, "
            "priority si la décision le dit, sinon standard.",
        ),
    )


def build_response(
    values: Mapping[str, TargetPrediction], facts: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    """Compose the response from one row's predictions.

    So that the two models never contradict each other, the share of ``hospital`` and ``killed`` together is the
    probability of a priority, and the severity model decides how it divides between them.
    """
    priority = values["priority"]
    assert isinstance(priority, BinaryPrediction)
    slight, hospital, killed = _severity_shares(values)
    if slight >= hospital and slight >= killed:
        most_likely = "slight"
    else:
        most_likely = "hospital" if hospital >= killed else "killed"
    decision = priority.probability >= priority.threshold
    if killed >= MAXIMUM_KILLED or (request["people"] or 0) >= MANY_PEOPLE:
        response = "maximum"
    else:
        response = "priority" if decision else "standard"
    return {
        "priority": {
            "probability": priority.probability,
            "decision": decision,
            "threshold": priority.threshold,
        },
        "severity": {
            "most_likely": most_likely,
            "probabilities": {"slight": slight, "hospital": hospital, "killed": killed},
        },
        "response": response,
    }


def adjust(values: Mapping[str, TargetPrediction], facts: Mapping[str, Any]) -> dict[str, TargetPrediction]:
    """Make the severity consistent with the priority, as the response has it."""
    return {**values, "severity": MultiClassPrediction(_severity_shares(values), SEVERITIES)}


def _severity_shares(values: Mapping[str, TargetPrediction]) -> tuple[float, float, float]:
    priority, severity = values["priority"], values["severity"]
    assert isinstance(priority, BinaryPrediction)
    assert isinstance(severity, MultiClassPrediction)
    _, hospital, killed = severity.probabilities
    grave = hospital + killed
    killed = priority.probability * killed / grave if grave > 0 else 0.0
    return 1.0 - priority.probability, priority.probability - killed, killed


SHARES: Mapping[tuple[bool, str], tuple[float, float]] = {
    (True, "pedestrian"): (0.30, 0.04),
    (True, "motor two-wheeler"): (0.30, 0.03),
    (True, "bicycle"): (0.25, 0.02),
    (True, "other"): (0.20, 0.03),
    (False, "pedestrian"): (0.70, 0.23),
    (False, "motor two-wheeler"): (0.60, 0.10),
    (False, "bicycle"): (0.65, 0.12),
    (False, "other"): (0.45, 0.10),
}
"""(in a built-up area, who is most exposed) -> shares of accidents with someone killed or in hospital, and with
someone killed: rounded from the public BAAC tables."""


def fallback_prediction(request: Mapping[str, Any]) -> tuple[dict[str, TargetPrediction], dict[str, Any]]:
    """The public shares, by place and most exposed user: the answer without any model."""
    if request["pedestrians"]:
        exposed = "pedestrian"
    elif request["motorcycles"] or request["scooters"] or request["mopeds"] or request["quads"]:
        exposed = "motor two-wheeler"
    elif request["bicycles"] or request["e_scooters"]:
        exposed = "bicycle"
    else:
        exposed = "other"
    priority, killed = SHARES[bool(request["urban"]), exposed]
    values: dict[str, TargetPrediction] = {
        "priority": BinaryPrediction(priority, THRESHOLD),
        "severity": MultiClassPrediction([1.0 - priority, priority - killed, killed], SEVERITIES),
    }
    return values, {}
