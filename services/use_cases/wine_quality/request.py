"""The request model and the eleven measurements of a wine. Pydantic and the standard library alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from services.core.contract.fields import request_field
from services.core.contract.use_case import Text

Colour = Literal["red", "white"]
COLOURS: tuple[Colour, ...] = get_args(Colour)

GRADES = ("3", "4", "5", "6", "7", "8", "9")
"""The grades that tasters gave; 0 to 10 were allowed."""


class Measurement(NamedTuple):
    """A measurement of a wine: its column, title, unit and bounds."""

    column: str
    """As the official files call it."""
    title: Text
    unit: str
    low: float
    high: float
    """What can be, not only what was."""
    example: float


MEASUREMENTS: Mapping[str, Measurement] = {
    "fixed_acidity": Measurement("fixed acidity", Text("Fixed acidity", "Acidité fixe"), "g/l", 0, 30, 7.4),
    "volatile_acidity": Measurement(
        "volatile acidity", Text("Volatile acidity", "Acidité volatile"), "g/l", 0, 4, 0.43
    ),
    "citric_acid": Measurement("citric acid", Text("Citric acid", "Acide citrique"), "g/l", 0, 4, 0.3),
    "residual_sugar": Measurement("residual sugar", Text("Residual sugar", "Sucre résiduel"), "g/l", 0, 300, 2.1),
    "chlorides": Measurement("chlorides", Text("Chlorides", "Chlorures"), "g/l", 0, 2, 0.071),
    "free_sulfur_dioxide": Measurement(
        "free sulfur dioxide", Text("Free sulphur dioxide", "Dioxyde de soufre libre"), "mg/l", 0, 500, 15
    ),
    "total_sulfur_dioxide": Measurement(
        "total sulfur dioxide", Text("Total sulphur dioxide", "Dioxyde de soufre total"), "mg/l", 0, 800, 42
    ),
    "density": Measurement("density", Text("Density", "Densité"), "g/ml", 0.95, 1.2, 0.9958),
    "ph": Measurement("pH", Text("pH", "pH"), "", 1, 6, 3.31),
    "sulphates": Measurement("sulphates", Text("Sulphates", "Sulfates"), "g/l", 0, 5, 0.68),
    "alcohol": Measurement("alcohol", Text("Alcohol", "Alcool"), "% vol", 0, 25, 11.2),
}
MEASUREMENT_NAMES = tuple(MEASUREMENTS)


def _measured(name: str) -> float:
    what = MEASUREMENTS[name]
    number: float = request_field(
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

    colour: Colour = request_field(
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
