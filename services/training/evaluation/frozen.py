"""The frozen test rows: what champion and challenger are both scored on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.core.usecases.classes import learns_classes
from services.core.usecases.contract import UseCase
from services.training.slices import TEST, target_slices, within

if TYPE_CHECKING:
    import pandas as pd


def frozen_rows(use_case: UseCase, examples: pd.DataFrame) -> pd.DataFrame:
    """The examples that are in the test slice of some target, with the columns that scoring needs:
    request fields, labels, weights, group, subgroups, ``event_time`` and ``origin``. A label is blank where the
    row is not in that target's test slice."""
    slices = target_slices(use_case, examples)
    labels = [target.label for target in use_case.targets]
    named = learns_classes(use_case)
    wanted = [
        *use_case.request.model_fields,
        *labels,
        *(target.weight for target in use_case.targets if target.weight),
        use_case.group,
        *(subgroup.column for subgroup in use_case.subgroups),
        *(part.column for part in use_case.parts),
        *(name for name in ("event_time", "origin") if name in examples),
    ]
    frame = examples[list(dict.fromkeys(wanted))].copy()
    for target in use_case.targets:
        label = frame[target.label]
        # Names of classes that are learned stay names: each model has numbers of its own for them.
        numbers = label if target.name in named else label.astype("float64")
        frame[target.label] = numbers.where(within(slices[target.name], TEST))
    return frame[np.any([frame[label].notna() for label in labels], axis=0)].reset_index(drop=True)
