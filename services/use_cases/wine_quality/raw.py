"""Parses the official files, one of each colour, and builds an example of each wine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

import pandas as pd

from services.core.contract.use_case import ParsedTable
from services.core.raw_files.columns import read_columns
from services.use_cases.wine_quality import layouts
from services.use_cases.wine_quality.request import GRADES, MEASUREMENT_NAMES

_COLOUR_IN_NAME = re.compile(r"(?:^|[^A-Za-z]|(?<=[a-z])(?=[RW]))((?i:red|white))(?=wines?|(?i:all)|[^a-z]|$)")


def parse_table(table: str, frame: pd.DataFrame) -> ParsedTable:
    """Parse each wine's colour, measurements and quality; the colour is in a column, or else in the file's name.

    A row is refused when its colour is unknown, a measurement is missing or impossible, or the quality is no whole
    number from 0 to 10; a wine without any quality is not used for training.
    """
    typed = read_columns(layouts.WINES, frame)
    rows = typed.rows
    if (rows["colour"] == "").all():
        rows["colour"] = frame["file"].map({name: _colour_of(name) for name in frame["file"].unique()}).astype("str")
    more = rows["free_sulfur_dioxide"] > rows["total_sulfur_dioxide"]
    typed.refuse(more, "free sulfur dioxide is more than the total", "free sulfur dioxide")
    typed.refuse(rows["colour"] == "", "neither a column nor the file's name says red or white")
    return typed.parsed(rows)


def _colour_of(name: str) -> str:
    """The colour in a file's name such as ``winequality-whiteALL.csv``; "" if it says none, or both."""
    colours = {found.casefold() for found in _COLOUR_IN_NAME.findall(name)}
    return colours.pop() if len(colours) == 1 else ""


def build_examples(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Build one example per distinct wine: the same colour and measurements are one wine, even if listed often.

    ``wine`` is a hash of them, so that a wine has one place in the split for good. ``grade`` is the quality's place in
    ``GRADES``, NaN for a grade that is not among them.
    """
    rows = tables["wines"].drop(columns="line", errors="ignore")
    rows = rows.drop_duplicates(["colour", *MEASUREMENT_NAMES], keep="last", ignore_index=True)
    return build_label_examples(rows).sort_values("wine", ignore_index=True)


def build_label_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Add to reported wines the columns that follow from their measurements and quality.

    A reported wine has the name that it would have in the files, so that it is never on both sides of a split.
    """
    grade = rows["quality"].map({float(grade): float(place) for place, grade in enumerate(GRADES)})
    return rows.assign(
        wine=[_row_id(wine) for wine in rows[["colour", *MEASUREMENT_NAMES]].itertuples(index=False)],
        grade=grade.where(rows["quality"].notna(), rows["grade"]) if "grade" in rows else grade,
        strength=pd.cut(rows["alcohol"], [-1, 10, 11.5, 100], labels=["light", "medium", "strong"]).astype("str"),
    )


def _row_id(wine: Iterable[object]) -> str:
    text = ";".join(value if isinstance(value, str) else f"{value:.6g}" for value in wine)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
