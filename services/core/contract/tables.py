"""Declares raw tables, official downloads, and the result of parsing a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from services.core.errors import VigieError
from services.deprecated_names import accepts_old_fields

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Join:
    """How the rows of a table belong to rows of another table; ingestion counts those that do not.

    Attributes:
        table: Name of the other table.
        column: Canonical column that both have.
        lost_if_unknown: Whether a row whose value the other table does not know is of no use: more than
            ``max_bad_share`` of them are refused, fewer are reported.
        lost_if_absent: The same for rows of the other table that this one does not know.
        within: Columns of this table and of the other that hold a time: only rows of the time that the other table
            covers count, because files may be of other years.
        period: Number of first characters of the value that say its period, for the report; 0 where none do.
        reason: Why the values of two files may not meet, for the refusal.
    """

    table: str
    column: str
    lost_if_unknown: bool = True
    lost_if_absent: bool = False
    within: tuple[str, str] | None = None
    period: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plausible:
    """What is possible in a canonical column, file by file. What is not has to be confirmed by a person.

    Each file is compared with the files before it as well: a column whose values are distributed otherwise is most
    often coded otherwise.

    Attributes:
        column: Canonical column of the table.
        shares: Value -> lowest and highest possible share of the rows that have a value.
        median: Lowest and highest possible median, for a quantity.
        meaning: What the values mean, for people: value -> words.
    """

    column: str
    shares: Mapping[float | str, tuple[float, float]] = field(default_factory=dict)
    median: tuple[float, float] | None = None
    meaning: Mapping[float | str, str] = field(default_factory=dict)


class Box(NamedTuple):
    """Where the places of an area are: degrees, south and west negative."""

    south: float
    north: float
    west: float
    east: float


Kind = Literal["text", "identifier", "number", "code", "truth", "date", "clock", "moment"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of official files and how its values are read, see ``services.core.raw_files.columns``.

    A value that cannot be read, or is not what the column may hold, becomes missing and is counted in the report;
    with ``strict`` its row is refused, and with ``needed`` a row without a value too.

    Attributes:
        name: Canonical column.
        source: Column of the file; ``"a|b"`` where it has several names, most common first. "" is ``name``.
        kind: ``text`` and ``identifier`` are str; ``number`` and ``truth`` float64; ``code`` what ``meaning`` gives;
            ``date`` and ``moment`` naive timestamps; ``clock`` seconds since midnight, float64.
        needed: Whether a row without a readable value is refused.
        strict: Whether a row whose value is not readable is refused.
        optional: Whether a file may lack the column; else its absence is reported.
        low: Lowest possible number.
        high: Highest possible number.
        whole: Whether numbers have no fraction.
        missing: What stands for a missing value besides the usual words, such as ``-1``.
        meaning: Code (small letters) -> canonical value; a code that is not among them is not readable.
        replaced: Word (small letters) -> what is read in its place.
        pattern: What a text or an identifier has to match.
        expected: What a value has to be, for people: ``a number of 12 digits``.
        said_by: Other column -> regular expression with groups ``year``, ``month``, ``day`` or ``hour``: it tells how
            dates and times are written, and a row whose hour it contradicts is not readable.
        digits: What one or two digits of a ``clock`` are where no row of the file has more.
    """

    name: str
    source: str = ""
    kind: Kind = "text"
    needed: bool = False
    strict: bool = False
    optional: bool = False
    low: float = float("-inf")
    high: float = float("inf")
    whole: bool = False
    missing: tuple[str, ...] = ()
    meaning: Mapping[str, float | str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    pattern: str = ""
    expected: str = ""
    said_by: Mapping[str, str] = field(default_factory=dict)
    digits: Literal["hours", "minutes", ""] = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the column in files, most common first."""
        return tuple((self.source or self.name).split("|"))


@accepts_old_fields(
    marks="header_signature",
    several_rows="allow_duplicate_keys",
    below_text="max_preamble_lines",
    file_names="with_file_name",
    images="image_name_pattern",
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
        image_name_pattern: Makes a table of image files, in folders and archives: a regular expression that their whole
            names match, whose named groups are the columns, beside ``image``, the file's bytes. Such a table has no
            header.
        columns: What is read of its files; other columns are left alone.
        includes: Other tables whose header signature its files may have as well. A file with the signatures of any
            other tables is a join of several, and left aside.
        joins: How its rows belong to rows of other tables.
        plausible: What is possible in its columns.
        if_absent: What follows where there is no file of it, for the ingest report.
    """

    name: str
    header_signature: tuple[str, ...]
    required: tuple[str, ...]
    key: tuple[str, ...]
    allow_duplicate_keys: bool = False
    optional: bool = False
    max_preamble_lines: int = 0
    with_file_name: bool = False
    image_name_pattern: str = ""
    columns: tuple[Column, ...] = ()
    includes: tuple[str, ...] = ()
    joins: tuple[Join, ...] = ()
    plausible: tuple[Plausible, ...] = ()
    if_absent: str = ""


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


class ForeignFileError(VigieError):
    """Raised by ``parse_table``: the whole file is none of this use case, such as one of a station that no model knows.

    It is left aside with ``problem`` as the reason, and the others are read.
    """


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the ingest report about a file.

    Attributes:
        kind: ``convention``: how a column of this file is written, decided on all of its rows. ``lost``: values that
            could not be read and are missing now. ``warning``: anything else that people should know.
        column: Column of the file; "" for the file as a whole.
        text: In plain words, such as ``month before day`` or ``outside the department``.
        rows: How many rows it concerns.
        line: Line of the first one, 0 if it has none.
        value: What is written there.
    """

    kind: Literal["convention", "lost", "warning"]
    column: str
    text: str
    rows: int = 0
    line: int = 0
    value: str = ""

    def sentence(self) -> str:
        """The finding as one line of text."""
        details = [f"{self.rows} rows"] if self.rows else []
        details += [f"first on line {self.line}"] if self.line else []
        details += [repr(self.value)] if self.value else []
        rows = f" ({', '.join(details)})" if details else ""
        return f"{self.column + ': ' if self.column else ''}{self.text}{rows}"


@accepts_old_fields(faults="rejected")
class ParsedTable(NamedTuple):
    """Canonical rows, with the ``line`` that they came from, the refused ones, and what was decided on the way."""

    rows: pd.DataFrame
    rejected: pd.DataFrame
    """Columns ``line`` (int) and ``reason`` (str), one row per refused row; where a single value is the reason also
    ``column`` and ``value``, as they are in the file (str, else "")."""
    findings: tuple[Finding, ...] = ()

    @classmethod
    def split(
        cls,
        rows: pd.DataFrame,
        reasons: pd.Series,
        findings: tuple[Finding, ...] = (),
        columns: pd.Series | None = None,
        values: pd.Series | None = None,
    ) -> ParsedTable:
        """Split rows by ``reasons``: text of the same index, "" where the row is good.

        ``columns`` and ``values`` likewise: the column and the value to blame, "" where there is none.
        """
        bad = (reasons != "").to_numpy(dtype=bool)
        rejected = rows.loc[bad, ["line"]].assign(reason=reasons[bad])
        if columns is not None:
            rejected = rejected.assign(column=columns[bad])
        if values is not None:
            rejected = rejected.assign(value=values[bad])
        return cls(rows[~bad].reset_index(drop=True), rejected.reset_index(drop=True), findings)
