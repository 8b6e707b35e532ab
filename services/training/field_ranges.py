"""What the training rows held in each request field: the source of warnings about unseen words and
values outside the training range, and of defaults for what-if questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.usecases import columns as column_tools
from services.core.usecases.contract import UseCase

_MOST_WORDS = 5_000
"""Above this a field is free text, and a new word in it is no surprise."""


def field_ranges(use_case: UseCase, columns: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    """Field -> ``kind``, ``missing`` (share of rows) and, for numbers and times, ``min``, ``max``,
    ``low``, ``high`` (the 0.1 and 99.9 % points), ``median``; for categories and short texts
    ``words`` (sorted, or None for free text, declared so or told by their number) and ``usual`` (the most frequent)."""
    found: dict[str, dict[str, Any]] = {}
    free = column_tools.free_texts(use_case.request)
    for name, kind in column_tools.kinds(use_case.request).items():
        values = columns[name]
        if kind == "image":
            known = sum(value is not None for value in values)
            found[name] = {"kind": kind, "missing": 1 - known / max(len(values), 1)}
            continue
        if kind in {"category", "text"}:
            present = values[values != ""].astype(str)
            words, counts = np.unique(present, return_counts=True)
            few = len(words) <= _MOST_WORDS and name not in free
            summary: dict[str, Any] = {
                "words": words.tolist() if few else None,
                "usual": str(words[np.argmax(counts)]) if len(words) and few else None,
            }
        else:
            present = values[~np.isnan(values)]
            summary = dict.fromkeys(("min", "low", "median", "high", "max"))
            if len(present):
                points = np.quantile(present, (0.0, 0.001, 0.5, 0.999, 1.0))
                summary = dict(zip(summary, (float(point) for point in points), strict=True))
        found[name] = {"kind": kind, "missing": 1 - len(present) / max(len(values), 1), **summary}
    return found
