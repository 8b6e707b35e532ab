"""Refuses examples that nothing can be learned from or measured on, before training: which target, value and rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import structlog
from numpy.typing import NDArray

from services.core.contract.outputs import describe_value
from services.core.contract.use_case import Target, UseCase
from services.core.errors import VigieError

if TYPE_CHECKING:
    import pandas as pd

_ACTION = "Look at the files of {}: a column may be empty, cut off or filled with one value."


def ensure_label_varies(
    use_case: str, target: Target, labels: pd.Series, slices: Mapping[str, NDArray[np.bool_]]
) -> None:
    """Require that a target has two rows and two values in every slice.

    Args:
        use_case: Name, for the message.
        target: Whose label it is.
        labels: Labels (n,) as in the examples; missing where a row is not one of the target's.
        slices: What the rows are for (``to train on``) -> mask bool (n,).

    Raises:
        VigieError: No row has a label, a slice has fewer than two, or all labels of a slice are one value.
    """
    action, known = _ACTION.format(use_case), labels.notna().to_numpy()
    if not known.any():
        raise VigieError(
            f"{use_case}: {target.name} is missing in all {len(labels):,} rows.",
            expected=f"values of {target.label}",
            action=action,
        )
    counts = {purpose: int((mask & known).sum()) for purpose, mask in slices.items()}
    if (value := _constant_label(target, labels[known])) is not None and known.sum() > 1:
        raise VigieError(
            f"{use_case}: {target.name} is {value} in all {known.sum():,} rows, so there is nothing to learn.",
            expected="at least two values",
            action=action,
        )
    if min(counts.values()) < 2:
        raise VigieError(
            f"{use_case}: too few examples of {target.name}: "
            + ", ".join(f"{count} {purpose}" for purpose, count in counts.items())
            + ".",
            expected="at least two in each slice",
            action="Ingest more data.",
        )
    for purpose, mask in slices.items():
        if (value := _constant_label(target, labels[mask & known])) is not None:
            raise VigieError(
                f"{use_case}: {target.name} is {value} in all {counts[purpose]:,} rows {purpose}.",
                expected="at least two values in each slice",
                action=f"Ingest more data. {action}",
            )


def _constant_label(target: Target, labels: pd.Series) -> str | None:
    """The one value that all labels (n,) have; None where there are several, or no labels."""
    values = labels.to_numpy()
    constant = len(values) and (values == values[0]).all()
    return describe_value(target.output, values[0]) if constant else None


def ensure_columns_vary(use_case: UseCase, examples: pd.DataFrame) -> None:
    """Warn of request fields that are missing or one value in all rows; a model learns nothing from them.

    A field that a centre always leaves out is normal, so this is refused only where no field varies.

    Args:
        use_case: Its request's fields are looked at.
        examples: One row per example (n rows).

    Raises:
        VigieError: Every field is constant.
    """
    constant = dict(_constant_columns(use_case, examples))
    if len(examples) > 1 and len(constant) == len(use_case.serving.request.model_fields):
        raise VigieError(
            f"{use_case.name}: no field varies in {len(examples):,} rows: "
            + ", ".join(f"{name} is {value}" for name, value in constant.items())
            + ".",
            expected="at least two values in some field",
            action=_ACTION.format(use_case.name),
        )
    for name, value in constant.items():
        structlog.get_logger().warning(
            "a field is the same in all rows", use_case=use_case.name, field=name, value=value, rows=len(examples)
        )


def _constant_columns(use_case: UseCase, examples: pd.DataFrame) -> Iterator[tuple[str, str]]:
    for name in use_case.serving.request.model_fields:
        known = examples[name].dropna()
        if known.empty:
            yield name, "missing"
        elif len(known) == len(examples) and (known == known.iloc[0]).all():
            yield name, str(known.iloc[0])[:40]
