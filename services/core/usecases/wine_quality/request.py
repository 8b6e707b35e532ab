"""What a caller says about a wine."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from services.core.usecases.contract import Text
from services.core.usecases.fields import described
from services.core.usecases.wine_quality.measurements import MEASUREMENTS, Colour


def _measured(name: str) -> float:
    what = MEASUREMENTS[name]
    number: float = described(
        title=what.title,
        help=Text("As the laboratory measured it.", "Selon la mesure du laboratoire."),
        examples=[what.example],
        unit=what.unit or None,
        ge=what.low,
        le=what.high,
    )
    return number


class WineRequest(BaseModel):
    """A wine's colour and its eleven measurements; all are needed."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    colour: Colour = described(
        title=Text("Colour", "Couleur"),
        help=Text("Red or white; the two were judged apart.", "Rouge (red) ou blanc (white) : jugés séparément."),
        examples=["red"],
    )
    fixed_acidity: float = _measured("fixed_acidity")
    volatile_acidity: float = _measured("volatile_acidity")
    citric_acid: float = _measured("citric_acid")
    residual_sugar: float = _measured("residual_sugar")
    chlorides: float = _measured("chlorides")
    free_sulfur_dioxide: float = _measured("free_sulfur_dioxide")
    total_sulfur_dioxide: float = _measured("total_sulfur_dioxide")
    density: float = _measured("density")
    ph: float = _measured("ph")
    sulphates: float = _measured("sulphates")
    alcohol: float = _measured("alcohol")

    @model_validator(mode="after")
    def _free_is_part_of_total(self) -> Self:
        if self.free_sulfur_dioxide > self.total_sulfur_dioxide:
            raise ValueError("free_sulfur_dioxide is a part of total_sulfur_dioxide and cannot be more than it")
        return self
