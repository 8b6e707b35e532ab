"""Repeated cross-validation as a split (``Split.kind`` ``cross``): which boosters learn from which rows, and
answers to each row by those alone that did not learn from its group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.predictor import Predictor
from services.core.scoring.answers import Answer, of_predictor
from services.core.usecases.contract import Booster, Target, UseCase
from services.training import boosting
from services.training.slices import hash_fractions, named_groups

if TYPE_CHECKING:
    import pandas as pd

LeftOut = tuple[int, int]
"""Repetition and part that a booster did not learn from."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One booster of a bundle. ``left_out`` is None where it learns from all training rows."""

    name: str
    booster: Booster
    left_out: LeftOut | None


def crossed(use_case: UseCase, target: Target) -> bool:
    return (target.split or use_case.split).kind == "cross"


def copies(use_case: UseCase, target: Target) -> list[Copy]:
    """The boosters that a target's bundle holds: the declared ones, in a crossed split once for every part of every
    repetition. Those have no quantile boosters: their interval is the value give or take what unseen rows missed."""
    named = boosting.named_boosters(target)
    if not crossed(use_case, target):
        return [Copy(name, booster, None) for name, booster in named.items()]
    split = target.split or use_case.split
    return [
        Copy(f"{name}-{repeat}-{part}", booster, (repeat, part))
        for repeat in range(split.repeats)
        for part in range(split.folds)
        for name, booster in named.items()
        if name.startswith("member-")
    ]


def parts_of(use_case: UseCase, frame: pd.DataFrame, folds: int, repeats: int) -> NDArray[np.int64]:
    """(repeats, n): the part that each row's group is in. It depends on the group's name alone."""
    groups, names = named_groups(use_case, frame, duplicates_together=True)
    fractions = [hash_fractions(names, f"cross {folds} {repeat}") for repeat in range(repeats)]
    return np.floor(np.array(fractions) * folds).astype(np.int64)[:, groups]


def target_parts(use_case: UseCase, examples: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Target -> ``parts_of`` the examples, for the targets with a crossed split."""
    found = {}
    for target in use_case.targets:
        if crossed(use_case, target):
            split = target.split or use_case.split
            found[target.name] = parts_of(use_case, examples, split.folds, split.repeats)
    return found


def shown_labels(use_case: UseCase, labels: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """The labels that ``fit`` may see: none of a target with a crossed split, whose boosters share its arrays."""
    hidden = {target.name for target in use_case.targets if crossed(use_case, target)}
    return {name: np.full_like(label, np.nan) if name in hidden else label for name, label in labels.items()}


def of_unseen(predictor: Predictor, frame: pd.DataFrame) -> Answer:
    """Answers to the rows of ``frame`` as a model gives them that never saw their groups, whatever examples it was
    trained on; the predictor's plain answers for targets that have a test slice."""
    use_case = predictor.use_case
    if not any(crossed(use_case, target) for target in use_case.targets):
        return of_predictor(predictor)
    parts = {}
    for name, item in predictor.manifest.targets.items():
        if item.left_out:
            repeats = 1 + max(repeat for repeat, _ in item.left_out)
            folds = 1 + max(part for _, part in item.left_out)
            parts[name] = parts_of(use_case, frame, folds, repeats)

    def answer(columns: dict[str, NDArray[Any]], context: Mapping[str, Any], rows: NDArray[np.int64]) -> Any:
        here = {name: part[:, rows] for name, part in parts.items()}
        return predictor.predict(columns, context, unseen=here).values

    return answer
