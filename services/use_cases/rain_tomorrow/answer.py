"""Response model of ``rain_tomorrow``, and the rules that compose it from the model's predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from services.core.contract.fields import response_field
from services.core.contract.use_case import BinaryPrediction, TargetPrediction, Text
from services.use_cases.rain_tomorrow.stations import RAINY_MM

COST_OF_MISS = 2.0
COST_OF_FALSE_ALARM = 1.0
THRESHOLD = COST_OF_FALSE_ALARM / (COST_OF_FALSE_ALARM + COST_OF_MISS)
"""Where the costs balance for a calibrated probability; the baseline decides by it."""

USUAL, AFTER_RAIN, AFTER_DRY = 0.22, 0.46, 0.15
"""Shares of rainy days at all stations: of all days, after a rainy day, after a dry one. Rounded from the
Bureau's public observations."""


class RainAnswer(BaseModel):
    probability: float = Field(description="Calibrated probability of more than 1 mm of rain to 9 am tomorrow.")
    decision: bool = Field(description="The probability reaches the threshold: rain is announced.")
    threshold: float = Field(description="Where the stated costs of a missed rain and of a false alarm balance.")
    expected_accuracy: float = response_field(
        Text("Such announcements come true", "De telles annonces se vérifient"),
        Text(
            "Share of such decisions that come true: the probability where rain is announced, else 1 minus it.",
            "Part de telles décisions qui se vérifient : la probabilité si la pluie est annoncée, sinon 1 moins elle.",
        ),
        unit="share",
    )
    own_days: int = response_field(
        Text("Known days of the station", "Jours connus de la station"),
        Text(
            "Of the six days before today, how many of this station's were known.",
            "Sur les six jours précédents, combien étaient connus pour cette station.",
        ),
    )
    other_stations: int = response_field(
        Text("Other stations known", "Autres stations connues"),
        Text(
            "How many other stations' observations of the same day were known.",
            "Combien d'autres stations avaient un relevé connu du même jour.",
        ),
    )


def build_response(
    values: Mapping[str, TargetPrediction], facts: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer's fields for one row."""
    rain = values["rain"]
    assert isinstance(rain, BinaryPrediction)
    decision = bool(rain.decision)
    return {
        "probability": rain.probability,
        "decision": decision,
        "threshold": rain.threshold,
        "expected_accuracy": rain.probability if decision else 1.0 - rain.probability,
        "own_days": int(facts["own_days"]),
        "other_stations": int(facts["other_stations"]),
    }


def fallback_prediction(request: Mapping[str, Any]) -> tuple[dict[str, TargetPrediction], dict[str, Any]]:
    """Persistence: how often a rainy day follows a rainy or a dry one."""
    rainfall = request["rainfall"]
    share = USUAL
    if rainfall is not None:
        share = AFTER_RAIN if rainfall > RAINY_MM else AFTER_DRY
    return {"rain": BinaryPrediction(share, THRESHOLD)}, {"own_days": 0, "other_stations": 0}
