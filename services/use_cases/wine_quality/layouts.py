"""Columns of the official files and how their values are read."""

from __future__ import annotations

from services.core.contract.tables import Column
from services.use_cases.wine_quality.request import COLOURS, MEASUREMENTS

WINES = (
    Column(
        "colour", "colour|color|type|style", "code", strict=True, optional=True, expected="red or white",
        meaning={colour: colour for colour in COLOURS} | {f"{colour} wine": colour for colour in COLOURS},
    ),
    *(
        Column(
            name, what.column, "number", needed=True, low=what.low, high=what.high,
            expected=f"a number from {what.low:g} to {what.high:g}",
        )
        for name, what in MEASUREMENTS.items()
    ),
    Column(
        "quality", "quality", "number", needed=True, low=0, high=10, whole=True, expected="a whole number from 0 to 10"
    ),
)  # fmt: skip
