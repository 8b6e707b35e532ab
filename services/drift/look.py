"""One look at a use case's calls: what it found, and how far inputs and answers drifted. Nothing is changed here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.bundle.predictor import Predictor
from services.core.params import Monitoring
from services.core.usecases.contract import UseCase, Value
from services.drift.agreement import Doubt
from services.drift.breaches import Findings
from services.drift.calls import watched_of
from services.drift.inputs import FEW, Column, ColumnDrift, Kind, columns_of, compare, drifted_share, values_of
from services.drift.losses import one_number
from services.drift.models import Models
from services.drift.wording import OUTPUT, WATCHED


@dataclass
class Look:
    """``findings`` and ``quality`` speak of the champion's own answers; too few of those leave them empty."""

    columns: list[ColumnDrift] = field(default_factory=list)
    share: float = 0.0
    season_known: bool = True
    findings: Findings = field(default_factory=Findings)
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Column -> the group of each call of the window."""
    judged: int = 0
    """Calls answered by the champion whose outcome is known."""
    quality: list[dict[str, Any]] = field(default_factory=list)
    estimates: list[dict[str, Any]] = field(default_factory=list)
    shadow: dict[str, Any] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
    samples: tuple[pd.DataFrame, pd.DataFrame] | None = None
    """Reference and current columns, for the report."""


def drift_of(
    use_case: UseCase,
    models: Models,
    predictor: Predictor,
    window: pd.DataFrame,
    *,
    values: Mapping[str, Value],
    params: Monitoring,
) -> Look:
    """Inputs, answers and watched columns of the window against the bundle's reference sample."""
    reference = models.reference(predictor)
    importance = _importance(predictor)
    columns = columns_of(use_case.request, reference, window, importance)
    for target in use_case.targets:
        name = f"{OUTPUT}{target.name}"
        if name in reference:
            shape: Kind = "words" if hasattr(target.output, "labels") else "number"
            said = pd.Series(one_number(values[target.name]))
            columns.append(Column(name, shape, values_of(reference[name], shape), values_of(said, shape)))
    unlearned = _unlearned(reference)
    for name, kept in watched_of(window).items():
        if f"{WATCHED}{name}" in reference:
            theirs = reference[f"{WATCHED}{name}"]
            shape = "number" if pd.api.types.is_numeric_dtype(theirs) else "words"
            columns.append(
                Column(
                    f"{WATCHED}{name}",
                    shape,
                    values_of(theirs, shape),
                    values_of(pd.Series(kept), shape),
                    counts=unlearned,
                )
            )
    times = reference[use_case.time_field] if use_case.time_field is not None else None
    found, season = compare(columns, times, window["event_time"], params, use_case.zone or "UTC")
    samples = (
        pd.DataFrame({column.name: column.reference for column in columns}),
        pd.DataFrame({column.name: column.current for column in columns}),
    )
    inputs = [column for column in found if not column.name.startswith(OUTPUT)]
    return Look(columns=found, share=drifted_share(inputs), season_known=season, samples=samples)


def _unlearned(reference: pd.DataFrame) -> NDArray[np.float64] | None:
    """Rows that the model has not learned from count alone where there are enough: of those that it has learned from it
    knows every word."""
    rows = np.asarray(reference["slice"] == "calibrate", dtype=np.float64)
    return rows if rows.sum() >= FEW else None


def _importance(predictor: Predictor) -> dict[str, float]:
    """Field -> its share of the first target's gain."""
    path = predictor.folder / "importance.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {str(name): float(share) for name, share in content.get(predictor.use_case.targets[0].name, {}).items()}
