"""Which table a file belongs to, told by its header: names of files mean nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from services.core.usecases.contract import Table


def table_of(header: Collection[str], tables: Sequence[Table]) -> Table | None:
    """The table all of whose marks the header holds; of several the one with most marks."""
    names = set(header)
    fitting = [table for table in tables if table.marks and not lacking(names, table.marks)]
    return max(fitting, key=lambda table: len(table.marks), default=None)


def lacking(header: Collection[str], names: Sequence[str]) -> list[str]:
    """Those of ``names`` that the header does not hold; ``"a|b"`` is held when either is."""
    return [name for name in names if not any(option in header for option in name.split("|"))]


def nearest(header: Collection[str], tables: Sequence[Table]) -> tuple[Table, list[str]] | None:
    """The table that the header is closest to and the marks it lacks, where it has at least one."""
    names = set(header)
    shares = [(len(lacking(names, table.marks)) / len(table.marks), table) for table in tables if table.marks]
    share, table = min(shares, key=lambda pair: pair[0], default=(1.0, None))
    return None if table is None or share == 1.0 else (table, lacking(names, table.marks))
