"""A table of text as it stands in a file, before anybody gave it a meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd


class Sheet(NamedTuple):
    """``rows`` holds str columns (missing is "") and ``line``, the number of the line that the row
    starts on; ``faults`` has ``line``, ``reason`` and ``row``, the text as it stands there."""

    name: str
    rows: pd.DataFrame
    faults: pd.DataFrame


def make_sheet(name: str, rows: pd.DataFrame, faults: Sequence[tuple[int, str, str]] = ()) -> Sheet:
    table = pd.DataFrame(list(faults), columns=["line", "reason", "row"])
    return Sheet(name, rows, table.astype({"line": "int64", "reason": "str", "row": "str"}))


def unique_names(fields: Sequence[str]) -> list[str]:
    """Names without blanks and byte order marks around them. A second ``x`` becomes ``x.1``, as in
    pandas; ``line`` is taken by the line number."""
    taken = {"line"}
    names = []
    for field in fields:
        clean = field.strip().strip("\ufeff").strip()
        name, number = clean, 0
        while name in taken:
            number += 1
            name = f"{clean}.{number}"
        taken.add(name)
        names.append(name)
    return names
