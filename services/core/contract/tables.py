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
    """One kind of official file. A file belongs to the table when its header holds all ``marks``;
    it is refused when it then lacks one of ``required``. ``"a|b"`` means that either name will do.
    Rows of a newer file replace all older rows with the same ``key``; within a file the last row of
    a key wins unless ``several_rows``. ``optional`` tables may be absent.

    ``below_text`` is for files whose header stands below lines of text: it is looked for in the first so many
    lines, and what stands above it comes with every row, in the column ``above``. With ``file_names`` the
    file's name comes with every row, in the column ``file``, for publishers that say something there alone.

    ``images`` makes a table of image files, in folders and archives: a regular expression that their whole names
    match, whose named groups are the columns, beside ``image``, the file's bytes. Such a table has no marks."""

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
    """A file that its publisher offers for download; ``sha256`` only where it never changes."""

    url: str
    title: str
    sha256: str | None = None


class ParsedTable(NamedTuple):
    """Canonical rows (with the ``line`` they came from) and the refused ones."""

    rows: pd.DataFrame
    faults: pd.DataFrame
    """Columns ``line`` (int) and ``reason`` (str), one row per refused row."""
