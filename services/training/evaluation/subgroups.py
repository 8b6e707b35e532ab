"""Metrics per subgroup, with how many rows stand behind each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from services.core.scoring.answers import Answers
from services.core.scoring.metrics import metrics_of
from services.core.scoring.report import by_group
from services.core.usecases.contract import UseCase

if TYPE_CHECKING:
    import pandas as pd

Measured = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Subgroup column -> value -> target or variant -> metric -> number, ``rows`` among the metrics."""


def measure_subgroups(use_case: UseCase, frame: pd.DataFrame, found: Sequence[Answers], minimum_rows: int) -> Measured:
    """The deciding, guarded and reported metrics of each subgroup with enough rows of a target."""
    import pandas as pd  # noqa: PLC0415

    measured: Measured = {}
    for subgroup in use_case.subgroups:
        codes, names = pd.factorize(group_names(frame[subgroup.column]), sort=True)
        here: dict[str, dict[str, dict[str, float]]] = {}
        for item in found:
            known, groups = metrics_of(item.target), codes[item.rows]
            chosen = (item.target.metric, *(guard.metric for guard in item.target.guards), *item.target.reported)
            for metric in dict.fromkeys(chosen):
                values, counts = by_group(item, known[metric], groups)
                for number in np.flatnonzero((counts >= minimum_rows) & np.isfinite(values)):
                    entry = here.setdefault(str(names[number]), {}).setdefault(item.name, {"rows": int(counts[number])})
                    entry[metric] = float(values[number])
        measured[subgroup.column] = here
    return measured


def group_names(series: pd.Series) -> Any:
    """Subgroup values as words: whole numbers without a fraction, ``unknown`` for missing."""

    def word(value: Any) -> str:
        if isinstance(value, float):
            return "unknown" if np.isnan(value) else f"{value:g}"
        return str(value) if value is not None and value != "" else "unknown"

    words = {value: word(value) for value in series.astype(object).unique()}
    return np.array([words[value] if value == value else "unknown" for value in series.astype(object)], dtype=object)  # noqa: PLR0124
