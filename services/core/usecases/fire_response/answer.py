"""What a dispatch centre gets back, and the rules that make it of the models' outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.core.usecases.contract import ClassesValue, ProbabilityValue, QuantityValue, Value
from services.core.usecases.fire_response.brigade import LONDON

PUMPS = ("1", "2", "3", "4", "5+")
PumpCount = Literal["1", "2", "3", "4", "5+"]


class AttendanceSeconds(BaseModel):
    median: float = Field(description="Seconds from mobilisation to arrival, as likely to be longer as shorter.")
    lower: float = Field(description="Lower end of the 90 % interval, seconds.")
    upper: float = Field(description="Upper end of the 90 % interval, seconds.")


class OverObjective(BaseModel):
    probability: float = Field(description="Calibrated probability that the pump misses the objective.")
    decision: bool = Field(description="True where the probability reaches the threshold.")
    threshold: float = Field(description="Probability from which a miss is announced; it follows from stated costs.")


class Pumps(BaseModel):
    most_likely: PumpCount = Field(description="The most likely number of pumps that the incident will need.")
    probabilities: dict[PumpCount, float]


class RiskUnderestimated(BaseModel):
    flag: bool = Field(description="True where the model has been too optimistic for this station or area.")
    reason: str = Field(description="What was found on data that the model had not learned from.")


class Station(BaseModel):
    name: str | None = Field(description="The station that the pump comes from.")
    assumed: bool = Field(description="True where the caller named none: the nearest open station was taken.")
    distance_m: float | None = Field(description="Straight distance from the station to the place, metres.")


class FireAnswer(BaseModel):
    attendance_seconds: AttendanceSeconds
    over_360s: OverObjective
    pumps: Pumps
    risk_underestimated: RiskUnderestimated
    station: Station
    objective_seconds: float = Field(description="The brigade's objective for a pump's arrival, seconds.")


NOTHING_FOUND = "No underestimation was found for this station or area."


def compose(
    values: Mapping[str, Value],
    facts: Mapping[str, Any],
    request: Mapping[str, Any],
) -> dict[str, Any]:
    """The answer's fields, of one row's values and facts. Seconds are rounded to a tenth and
    probabilities to four digits: more would pretend."""
    seconds, late, pumps = values["attendance_seconds"], values["over_360s"], values["pumps"]
    assert isinstance(seconds, QuantityValue)
    assert isinstance(late, ProbabilityValue)
    assert isinstance(pumps, ClassesValue)
    shares = pumps.probabilities
    distance = facts["distance_m"]
    return {
        "attendance_seconds": {
            "median": round(seconds.value, 1),
            "lower": round(seconds.lower, 1),
            "upper": round(seconds.upper, 1),
        },
        "over_360s": {
            "probability": round(late.probability, 4),
            "decision": bool(late.decision),
            "threshold": round(late.threshold, 4),
        },
        "pumps": {
            "most_likely": PUMPS[max(range(len(PUMPS)), key=shares.__getitem__)],
            "probabilities": {label: round(share, 4) for label, share in zip(PUMPS, shares, strict=True)},
        },
        "risk_underestimated": {
            "flag": facts["risk_reason"] != "",
            "reason": facts["risk_reason"] or NOTHING_FOUND,
        },
        "station": {
            "name": facts["station"] or None,
            "assumed": bool(facts["station_assumed"]),
            "distance_m": round(distance, 0) if distance == distance else None,  # noqa: PLR0124  NaN differs from itself
        },
        "objective_seconds": LONDON.objective_seconds,
    }


def baseline(request: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, Any]]:
    """The brigade's published averages by pump order and incident group, and nothing else."""
    which = min(int(request["pump_order"]), len(LONDON.usual_seconds)) - 1
    usual = LONDON.usual_seconds[which]
    low, high = LONDON.usual_spread
    shares = LONDON.usual_pumps[request["incident_group"] or ""]
    named = request["deployed_from_station"] or ""
    values: dict[str, Value] = {
        "attendance_seconds": QuantityValue(usual, usual * low, usual * high),
        "over_360s": ProbabilityValue(LONDON.usual_miss[which], 0.5),
        "pumps": ClassesValue(list(shares), PUMPS),
    }
    facts = {
        "interval_group": which + 1 + (0 if named else 10),
        "station": named,
        "station_assumed": not named,
        "distance_m": float("nan"),
        "risk_reason": "",
    }
    return values, facts
