"""Class labels learned from data, in place of declared ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.core.contract.use_case import MultiClass, UseCase


def with_class_labels(use_case: UseCase, labels: Mapping[str, tuple[str, ...]]) -> UseCase:
    """Put class labels that were learned into a use case.

    Args:
        use_case: The declaration.
        labels: Target name -> its classes, for targets whose classes are learned.

    Returns:
        A copy whose targets have these classes; ``use_case`` itself where ``labels`` is empty.
    """
    if not labels:
        return use_case
    targets = tuple(
        replace(target, output=MultiClass(labels[target.name])) if target.name in labels else target
        for target in use_case.modelling.targets
    )
    return replace(use_case, modelling=replace(use_case.modelling, targets=targets))


def learned_class_targets(use_case: UseCase) -> tuple[str, ...]:
    """Name the targets whose classes are learned from data."""
    return tuple(t.name for t in use_case.modelling.targets if isinstance(t.output, MultiClass) and t.output.learned)
