"""Examples as arrays, and what one training run works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.core.params import Train
from services.core.usecases import columns as column_tools
from services.core.usecases.classes import learns_classes
from services.core.usecases.contract import UseCase
from services.training.cross import target_parts
from services.training.slices import TRAIN, target_slices, within

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Prepared:
    """The examples as arrays. ``labels`` and ``weights`` are per target over all examples; a label
    is NaN where the row is not one of the target's."""

    examples: pd.DataFrame
    columns: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[np.float64]]
    weights: dict[str, NDArray[np.float64]]
    slices: dict[str, NDArray[np.int8]]
    classes: dict[str, tuple[str, ...]]
    """Names of the classes, for the targets that learn them: those of the training slice, sorted."""
    parts: dict[str, NDArray[np.int64]]
    """Part of every example in each repetition (repeats, n), for the targets with a crossed split."""

    def rows(self, part: int) -> NDArray[np.int64]:
        """Examples that are in this slice for some target."""
        here = [within(self.slices[name], part) & ~np.isnan(label) for name, label in self.labels.items()]
        return np.flatnonzero(np.any(here, axis=0))

    def labels_of(self, part: int, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """The targets' labels at ``rows``, NaN where the row is in another slice for that target."""
        return {
            name: np.where(within(self.slices[name][rows], part), label[rows], np.nan)
            for name, label in self.labels.items()
        }

    def parts_at(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """``parts`` of these rows alone."""
        return {name: part[:, rows] for name, part in self.parts.items()}


def prepare(use_case: UseCase, examples: pd.DataFrame) -> Prepared:
    def numbers(column: str) -> NDArray[np.float64]:
        return examples[column].to_numpy(dtype=np.float64, na_value=np.nan)

    slices = target_slices(use_case, examples)
    classes: dict[str, tuple[str, ...]] = {}
    labels: dict[str, NDArray[np.float64]] = {}
    for target in use_case.targets:
        if target.name in learns_classes(use_case):
            training = examples[target.label][within(slices[target.name], TRAIN)]
            classes[target.name] = tuple(sorted(str(name) for name in training.dropna().unique()))
            labels[target.name] = class_numbers(examples[target.label], classes[target.name])
        else:
            labels[target.name] = numbers(target.label)
    return Prepared(
        examples=examples,
        columns=column_tools.from_frame(use_case.request, examples),
        labels=labels,
        weights={t.name: numbers(t.weight) if t.weight else np.ones(len(examples)) for t in use_case.targets},
        slices=slices,
        classes=classes,
        parts=target_parts(use_case, examples),
    )


def class_numbers(names: pd.Series, classes: tuple[str, ...]) -> NDArray[np.float64]:
    """Each name's place among the classes; NaN where there is none, or it is not among them."""
    place = {name: float(number) for number, name in enumerate(classes)}
    return np.array([place.get(name, np.nan) for name in names.tolist()], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Run:
    """What every step of one training run needs."""

    use_case: UseCase
    data: Prepared
    reference: Mapping[str, NDArray[Any]]
    context: Mapping[str, Any]
    params: Train
    folder: Path
    """The bundle that is being written."""

    def target_folder(self, target: str) -> Path:
        return self.folder / "targets" / target
