"""Response model of ``fire_response``, and the rules that compose it from the models' predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.core.contract.fields import response_field
from services.core.contract.use_case import (
    BinaryPrediction,
    MultiClassPrediction,
    RegressionPrediction,
    TargetPrediction,
    Text,
)
from services.use_cases.fire_response.brigade import LONDON

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
    flag: bool = response_field(
        Text("Underestimated", "Sous-estimé"),
        Text(
            "True where the model has been too optimistic for this station or area.",
            "Vrai si le modèle a été trop optimiste pour cette caserne ou ce secteur.",
        ),
    )
    reason: str = response_field(
        Text("Reason", "Raison"),
        Text(
            "What was found on data that the model had not learned from.",
            "Ce qui a été constaté sur des données que le modèle n'avait pas apprises.",
        ),
    )
    reason_fr: str = response_field(
        Text("Reason in French", "Raison en français"),
        Text("The same in French.", "La même chose en français."),
    )


class Station(BaseModel):
    name: str | None = response_field(
        Text("Name", "Nom"), Text("The station that the pump comes from.", "La caserne d'où part l'engin.")
    )
    assumed: bool = response_field(
        Text("Assumed", "Supposée"),
        Text(
            "True where the caller named none: the nearest open station was taken.",
            "Vrai si aucune n'était indiquée : la caserne ouverte la plus proche a été prise.",
        ),
    )
    distance_m: float | None = response_field(
        Text("Straight distance", "Distance à vol d'oiseau"),
        Text("Straight distance from the station to the place, metres.", "De la caserne au lieu, en mètres."),
        unit="m",
    )


class FireAnswer(BaseModel):
    attendance_seconds: AttendanceSeconds
    over_360s: OverObjective
    pumps: Pumps
    risk_underestimated: RiskUnderestimated = response_field(
        Text("Risk underestimated here?", "Risque sous-estimé ici ?"),
        Text("Whether the model has been too optimistic here.", "Si le modèle a été trop optimiste ici."),
    )
    station: Station = response_field(
        Text("Station that the pump comes from", "Caserne de départ de l'engin"),
        Text("The one named, or the nearest open one.", "Celle indiquée, ou la plus proche ouverte."),
    )
    objective_seconds: float = response_field(
        Text("Objective", "Objectif"),
        Text(
            "The brigade's objective for a pump's arrival, seconds.",
            "L'objectif du service pour l'arrivée d'un engin, en secondes.",
        ),
        unit="s",
    )


NOTHING_FOUND = Text(
    "No underestimation was found for this station or area.",
    "Aucune sous-estimation n'a été constatée pour cette caserne ou ce secteur.",
)


def build_response(
    values: Mapping[str, TargetPrediction],
    facts: Mapping[str, Any],
    request: Mapping[str, Any],
) -> dict[str, Any]:
    """Compose the response from one row's predictions and facts.

    Seconds are rounded to a tenth and probabilities to four digits: more would pretend.
    """
    seconds, late, pumps = values["attendance_seconds"], values["over_360s"], values["pumps"]
    assert isinstance(seconds, RegressionPrediction)
    assert isinstance(late, BinaryPrediction)
    assert isinstance(pumps, MultiClassPrediction)
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
            "reason": facts["risk_reason"] or NOTHING_FOUND.en,
            "reason_fr": facts["risk_reason_fr"] or NOTHING_FOUND.fr,
        },
        "station": {
            "name": facts["station"] or None,
            "assumed": bool(facts["station_assumed"]),
            "distance_m": round(distance, 0) if distance == distance else None,  # noqa: PLR0124  NaN differs from itself
        },
        "objective_seconds": LONDON.objective_seconds,
    }


def fallback_prediction(request: Mapping[str, Any]) -> tuple[dict[str, TargetPrediction], dict[str, Any]]:
    """The brigade's published averages by pump order and incident group: the answer without any model."""
    which = min(int(request["pump_order"]), len(LONDON.usual_seconds)) - 1
    usual = LONDON.usual_seconds[which]
    low, high = LONDON.usual_spread
    shares = LONDON.usual_pumps[request["incident_group"] or ""]
    named = request["deployed_from_station"] or ""
    values: dict[str, TargetPrediction] = {
        "attendance_seconds": RegressionPrediction(usual, usual * low, usual * high),
        "over_360s": BinaryPrediction(LONDON.usual_miss[which], 0.5),
        "pumps": MultiClassPrediction(list(shares), PUMPS),
    }
    facts = {
        "interval_group": which + 1 + (0 if named else 10),
        "station": named,
        "station_assumed": not named,
        "distance_m": float("nan"),
        "risk_reason": "",
        "risk_reason_fr": "",
    }
    return values, facts
