"""Which centres' outcomes in a window are doubted: its answers and reports, and the frozen rows', held together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from services.core.usecases.contract import Classes, Quantity, UseCase, Value
from services.drift.agreement import Doubt, Reports, doubts
from services.drift.frozen import Frozen
from services.drift.losses import one_number


def doubtful(use_case: UseCase, window: pd.DataFrame, values: Mapping[str, Value], frozen: Frozen) -> list[Doubt]:
    """Centres whose outcomes do not go with the answers. ``values`` are the champion's for the window."""
    made = []
    for target in use_case.targets:
        output = target.output
        if isinstance(output, Classes):
            continue  # the order of classes means nothing
        label = window[target.label].to_numpy(dtype=np.float64)
        rows = np.flatnonzero(~np.isnan(label))
        rows = rows[np.argsort(window["call_reported_at"].to_numpy(dtype="datetime64[us]")[rows], kind="stable")]
        before = frozen.frame[target.label].to_numpy(dtype=np.float64)
        known = np.flatnonzero(~np.isnan(before))
        if not len(rows) or not len(known):
            continue
        received = window["call_reported_at"].to_numpy(dtype="datetime64[us]").astype(np.int64)[rows] / 1e6
        made.append(
            Reports(
                target=target.name,
                unit=output.unit if isinstance(output, Quantity) else "",
                centre=window["call_centre"].to_numpy(dtype=object)[rows],
                received=received,
                answer=one_number(values[target.name])[rows],
                label=label[rows],
                frozen_answer=one_number(frozen.values[target.name])[known],
                frozen_label=before[known],
                quantity=isinstance(output, Quantity),
            )
        )
    return doubts(made)
