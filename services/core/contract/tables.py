"""Declares raw tables, official downloads, and the result of parsing a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from services.deprecated_names import accepts_old_fields

if TYPE_CHECKING:
    import pandas as pd


@accepts_old_fields(
    marks="header_signature",
    several_rows="allow_duplicate_keys",
    below_text="max_preamble_lines",
    file_names="with_file_name",
)
@dataclass(frozen=True, slots=True)
class Table:
    """One kind of official file: how it is recognised and how its rows are merged.

    A file belongs to the table when its header holds all of ``header_signature``; it is refused when it then lacks one
    of ``required``. ``"a|b"`` means that either name will do. Rows of a newer file replace all older rows with the same
    ``key``.

    Attributes:
        name: Name of the table.
        header_signature: Columns by which a file is recognised.
        required: Columns that it must have.
        key: Columns that identify a row.
        allow_duplicate_keys: Whether all rows of a key within a file count; else the last one wins.
        optional: Whether there may be no such file.
        max_preamble_lines: For files whose header stands below lines of text: it is looked for in the first so many
            lines, and what stands above it comes with every row, in the column ``above``.
        with_file_name: Whether the file's name comes with every row, in the column ``file``, for publishers that say
            something there alone.
        images: Makes a table of image files, in folders and archives: a regular expression that their whole names
            match, whose named groups are the columns, beside ``image``, the file's bytes. Such a table has no header.
    """

    name: str
    header_signature: tuple[str, ...]
    required: tuple[str, ...]
    key: tuple[str, ...]
    allow_duplicate_keys: bool = False
    optional: bool = False
    max_preamble_lines: int = 0
    with_file_name: bool = False
    images: str = ""


@dataclass(frozen=True, slots=True)
class OfficialFile:
    """A file that its publisher offers for download.

    Attributes:
        url: Where it is.
        title: What people call it.
        sha256: Its hash, only where it never changes.
    """

    url: str
    title: str
    sha256: str | None = None


class ParsedTable(NamedTuple):
    """Canonical rows, with the ``line`` that they came from, and the refused ones."""

    rows: pd.DataFrame
    faults: pd.DataFrame
    """Columns ``line`` (int) and ``reason`` (str), one row per refused row."""

    @classmethod
    def split(cls, rows: pd.DataFrame, reasons: pd.Series) -> ParsedTable:
        """Split rows by ``reasons``: text of the same index, "" where the row is good."""
        bad = (reasons != "").to_numpy(dtype=bool)
        faults = rows.loc[bad, ["line"]].assign(reason=reasons[bad])
        return cls(rows[~bad].reset_index(drop=True), faults.reset_index(drop=True))
