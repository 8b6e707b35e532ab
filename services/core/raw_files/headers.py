"""Compares the column names of files with the declared ones, however somebody wrote or damaged them. Standard library
alone: the process that reads workbooks imports nothing heavy."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.core.contract.tables import Table

MAX_TITLE_LINES = 10
"""Lines of text that may stand above the header of any file."""
_NOT_ALPHANUMERIC = re.compile(r"[^0-9a-z]+")


@lru_cache(maxsize=4096)
def name_keys(name: str) -> frozenset[str]:
    """Two forms of a column's name, without case, blanks, underscores, dots and signs: with accents removed, and with
    accented letters removed, which a wrong encoding may have made of a degree or pound sign."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    letters = name.encode("ascii", "ignore").decode()
    return frozenset(_NOT_ALPHANUMERIC.sub("", form.casefold()) for form in (plain, letters)) - {""}


def declared_names(table: Table) -> list[str]:
    """All names by which the table's columns are declared, each once."""
    options = [*table.header_signature, *table.required]
    names = [name for option in options for name in option.split("|")]
    return list(dict.fromkeys([*names, *(name for column in table.columns for name in column.sources)]))


def renamed(header: Sequence[str], declared: Iterable[str]) -> dict[str, str]:
    """Column of the file -> declared name, for those that are written otherwise; an exact name goes first."""
    present = set(header)
    by_key = {key: name for name in reversed(list(declared)) if name not in present for key in name_keys(name)}
    names: dict[str, str] = {}
    for column in header:
        wanted = next((by_key[key] for key in name_keys(column) if key in by_key), None)
        if wanted is not None and wanted not in names.values() and column not in names:
            names[column] = wanted
    return names


def missing_columns(header: Collection[str], names: Sequence[str]) -> list[str]:
    """Those of ``names`` that the header lacks, however it is written; ``"a|b"`` is present if either is."""
    keys = {key for column in header for key in name_keys(column)}
    exact = set(header)
    return [
        name
        for name in names
        if not any(option in exact or not keys.isdisjoint(name_keys(option)) for option in name.split("|"))
    ]
