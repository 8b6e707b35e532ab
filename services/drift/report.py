"""Evidently's report of a run, for people. It takes seconds and megabytes, so only the newest are kept."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import structlog

from services.core.home import Home
from services.core.io import atomic_write

log = structlog.get_logger(__name__)
_MOST_ROWS = 5_000
_FEW = 30


def path_of(home: Home, use_case: str, run_id: str) -> Path:
    return home.root / "monitoring" / "reports" / use_case / f"{run_id}.html"


def remove(home: Home, use_case: str, run_ids: list[str]) -> None:
    for run_id in run_ids:
        path_of(home, use_case, run_id).unlink(missing_ok=True)


def write(home: Home, use_case: str, run_id: str, reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """Write the report. False where nothing can be compared: Evidently fails on empty windows and
    on columns without any value, so those are left out before."""
    reference, current = _capped(reference), _capped(current)
    numbers, words = _comparable(reference, current)
    if not numbers and not words:
        return False
    with warnings.catch_warnings():  # it uses names that its libraries are about to give up
        warnings.simplefilter("ignore")
        html = _html(reference, current, numbers, words)
    atomic_write(path_of(home, use_case, run_id), html)
    return True


def _html(reference: pd.DataFrame, current: pd.DataFrame, numbers: list[str], words: list[str]) -> str:
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - takes five seconds
    from evidently.presets import DataDriftPreset, DataSummaryPreset  # noqa: PLC0415

    definition = DataDefinition(numerical_columns=numbers, categorical_columns=words)
    sides = [
        Dataset.from_pandas(frame[[*numbers, *words]].astype(dict.fromkeys(words, "str")), data_definition=definition)
        for frame in (current, reference)
    ]
    drift = DataDriftPreset(num_method="wasserstein", cat_method="jensenshannon")
    snapshot = Report([drift, DataSummaryPreset()]).run(*sides)
    html: str = snapshot.get_html_str(as_iframe=False)
    return html


def _capped(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if len(frame) <= _MOST_ROWS else frame.sample(_MOST_ROWS, random_state=7).reset_index(drop=True)


def _comparable(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Columns that have enough values on both sides: numbers and words."""
    numbers: list[str] = []
    words: list[str] = []
    for name in reference.columns:
        is_number = pd.api.types.is_float_dtype(reference[name])
        sides = [frame[name].notna() & (frame[name].astype(str) != "") for frame in (reference, current)]
        if min(side.sum() for side in sides) < _FEW:
            continue
        (numbers if is_number else words).append(str(name))
    return numbers, words
