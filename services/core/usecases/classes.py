"""Classes that are learned from data: their names in place of the declaration's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.core.usecases.contract import Classes, UseCase


def with_labels(use_case: UseCase, labels: Mapping[str, tuple[str, ...]]) -> UseCase:
    """The use case whose targets have these classes, where they are learned; itself where none are."""
    if not labels:
        return use_case
    targets = tuple(
        replace(target, output=Classes(labels[target.name])) if target.name in labels else target
        for target in use_case.targets
    )
    return replace(use_case, targets=targets)


def learns_classes(use_case: UseCase) -> tuple[str, ...]:
    """The targets whose classes are learned."""
    return tuple(t.name for t in use_case.targets if isinstance(t.output, Classes) and t.output.learned)
