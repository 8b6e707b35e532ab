"""The eleven measurements of a wine; standard library alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from services.core.usecases.contract import Text

Colour = Literal["red", "white"]
COLOURS: tuple[Colour, ...] = get_args(Colour)

GRADES = ("3", "4", "5", "6", "7", "8", "9")
"""The grades that tasters gave; 0 to 10 were allowed."""


class Measurement(NamedTuple):
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
NAMES = tuple(MEASUREMENTS)
