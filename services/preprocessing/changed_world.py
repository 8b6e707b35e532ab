"""What monitoring found to have changed: rows of the changed places from before are nothing to learn from any more.

``changes.json`` lies beside the outcomes when a run begins (``services.core.calls.training_rows`` puts it there). The
examples get a column ``era``: ``before`` or ``since`` the last change. No feature sees it; the split does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.errors import VigieError

FILE = "changes.json"
ERA, BEFORE, SINCE = "era", "before", "since"
OLD_PER_NEW = 2
"""Where everything has changed, so many of the latest rows from before are kept for each row since then."""


def without_the_past(examples: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The examples without the rows that a change has made untrue, and with their era. Without a change, or without
    a row since then, as they were.

    Raises:
        VigieError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file() or "event_time" not in examples:
        return examples
    try:
        changes = json.loads(path.read_text(encoding="utf-8"))
        moments = [pd.Timestamp(change["since"]) for change in changes]
    except (ValueError, KeyError, TypeError) as error:
        raise VigieError(f"{path} cannot be read: {error}", action="Run the preprocess step again.") from error
    times = examples["event_time"]
    untrue = np.zeros(len(examples), dtype=np.bool_)
    for change, since in zip(changes, moments, strict=True):
        before = (times < since).to_numpy(dtype=bool)
        if before.all():
            continue
        untrue |= before & _changed(examples, change["segments"], before)
    last = max((moment for moment in moments if (times >= moment).any()), default=None)
    if last is None:
        return examples
    marked = examples.assign(**{ERA: np.where(times >= last, SINCE, BEFORE)})
    return marked[~untrue].reset_index(drop=True)


def _changed(examples: pd.DataFrame, segments: list[Mapping[str, Any]], before: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows behave otherwise now. Where that is all of them, the latest from before stay: enough to learn from,
    too few to outweigh the new ones."""
    if not segments:
        kept = OLD_PER_NEW * int((~before).sum())
        old = np.flatnonzero(before)
        changed = np.zeros(len(examples), dtype=np.bool_)
        changed[old[: max(len(old) - kept, 0)]] = True
        return changed
    changed = np.zeros(len(examples), dtype=np.bool_)
    for segment in segments:
        changed |= _in(examples, segment)
    return changed


def _in(examples: pd.DataFrame, segment: Mapping[str, Any]) -> NDArray[np.bool_]:
    inside = np.zeros(len(examples), dtype=np.bool_)
    if segment["column"] in examples:
        inside |= (examples[segment["column"]].astype(str) == segment["value"]).to_numpy(dtype=bool)
    box = segment.get("box") or {}
    if box and all(name in examples for name in box):
        within = np.ones(len(examples), dtype=np.bool_)
        for name, (low, high) in box.items():
            within &= examples[name].between(low, high).to_numpy(dtype=bool)
        inside |= within
    return inside
