"""Values of a file are read by one convention for the whole column, and what is doubtful is not read at all."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from services.core.contract.tables import Column
from services.core.raw_files.columns import TypedRows, read_columns


def read(values: list[str], others: dict[str, list[str]] | None = None, **column: Any) -> TypedRows:
    frame = pd.DataFrame({"x": values, **(others or {})}, dtype="str").assign(line=range(2, len(values) + 2))
    return read_columns([Column("x", **column)], frame)


def numbers(values: list[str], **column: Any) -> list[float | None]:
    found = read(values, kind="number", **column).rows["x"]
    return [None if pd.isna(value) else float(value) for value in found]


@pytest.mark.parametrize(
    "marker", ["", " ", "\u00a0", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>", "NaT", "-", "."]
)
@pytest.mark.parametrize("kind", ["text", "number", "identifier", "truth", "date", "clock"])
def test_what_stands_for_nothing_is_missing_and_no_loss(marker: str, kind: str) -> None:
    typed = read([marker], kind=kind)
    assert typed.rows["x"].isin([""]).all() or typed.rows["x"].isna().all()
    assert typed.findings == []


def test_minus_one_is_nothing_where_the_layout_says_so() -> None:
    assert numbers(["-1", "-1.0", "2"], missing=("-1",)) == [None, None, 2.0]
    assert numbers(["-1"]) == [-1.0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["416,0", "1133,5", "7"], [416.0, 1133.5, 7.0]),
        (["416.0", "1133.5", "7"], [416.0, 1133.5, 7.0]),
        (["0,998", "1,001"], [0.998, 1.001]),
        (["1\u202f133,5", "1 133"], [1133.5, 1133.0]),
        (["8E-05", "-3.25", "+4", ".5"], [8e-05, -3.25, 4.0, 0.5]),
        (["1.133", "416"], [1.133, 416.0]),
    ],
)
def test_numbers_with_a_decimal_comma_or_point(written: list[str], meant: list[float]) -> None:
    assert numbers(written) == meant


@pytest.mark.parametrize(
    ("written", "doubtful"),
    [
        (["1,133", "416"], 0),  # a thousand and more, or one and a bit
        (["1,133", "416.5"], 0),  # the point is decimal, so the comma is not
        (["1.133", "416,5"], 0),
        (["1,133.5"], 0),
        (["1.23E+05"], 0),  # a spreadsheet left out digits
        (["0x1F"], 0),
        (["inf"], 0),
        (["1_000"], 0),
        (["12 apples"], 0),
    ],
)
def test_what_could_be_two_numbers_or_none_is_not_read_and_told(written: list[str], doubtful: int) -> None:
    typed = read(written, kind="number")
    assert pd.isna(typed.rows["x"][doubtful])
    (lost,) = [finding for finding in typed.findings if finding.kind == "lost"]
    assert (lost.column, lost.rows, lost.line, lost.value) == ("x", 1, 2, written[doubtful])


def test_the_files_other_columns_and_the_bounds_tell_a_decimal_comma() -> None:
    frame = pd.DataFrame({"x": ["1,133"], "y": ["4,5"]}, dtype="str").assign(line=2)
    columns = [Column("x", kind="number"), Column("y", kind="number")]
    assert read_columns(columns, frame).rows["x"].tolist() == [1.133]
    assert numbers(["1,001"], low=0.95, high=1.2) == [1.001]
    assert numbers(["1,001"], low=0, high=5_000) == [None]


def test_a_convention_is_reported_once_for_the_file() -> None:
    (finding,) = read(["1,5", "2,5"], kind="number").findings
    assert (finding.kind, finding.text, finding.rows) == ("convention", "decimal comma", 2)


@pytest.mark.parametrize(
    "written", ["201900900001", " 201900900001 ", "201900900001.0", "201900900001.00", "201 900 900 001",
                "201\u00a0900\u202f900 001", "201900900001,0", "2.01900900001E+11"],
)  # fmt: skip
def test_an_identifier_is_one_however_programs_wrote_it(written: str) -> None:
    assert read([written], kind="identifier", pattern="[0-9]{12}").rows["x"].tolist() == ["201900900001"]


@pytest.mark.parametrize("written", ["2,019E+11", "2.019E+11", "2.0190E+11", "2E+11"])
def test_an_identifier_that_a_spreadsheet_rounded_is_refused_with_its_value(written: str) -> None:
    typed = read([written, "201900900001"], kind="identifier", needed=True, pattern="[0-9]{12}")
    assert typed.reason.tolist() == ["x was rounded by a spreadsheet: the original file is needed", ""]
    assert typed.value[0] == written


def test_an_identifier_of_letters_and_digits_stays_as_it_is() -> None:
    assert read(["000101-01012023", "A12.5"], kind="identifier").rows["x"].tolist() == ["000101-01012023", "A12.5"]


@pytest.mark.parametrize(
    ("true", "false"),
    [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("YES", "no"), ("Oui", "non"), ("vrai", "faux"), ("y", "n")],
)
def test_truth_in_every_spelling(true: str, false: str) -> None:
    assert read([true, false, "perhaps"], kind="truth").rows["x"].tolist()[:2] == [1.0, 0.0]


def test_codes_are_equal_in_every_spelling_and_unknown_ones_are_counted() -> None:
    typed = read(["2", "02", "2.0", "2,0", "White ", "99"], kind="code", meaning={"2": "two", "white": "w"})
    assert typed.rows["x"].tolist() == ["two", "two", "two", "two", "w", ""]
    assert [(finding.kind, finding.rows, finding.value) for finding in typed.findings] == [("lost", 1, "99")]


def test_a_column_of_which_most_values_do_not_parse_is_warned_of() -> None:
    typed = read(["a", "b", "3"], kind="number")
    assert "most values are not a number" in [f.text for f in typed.findings if f.kind == "warning"]
    assert not [f for f in read(["a", "2", "3"], kind="number").findings if f.kind == "warning"]


def test_a_bad_value_refuses_its_row_only_where_the_column_is_strict() -> None:
    assert read(["soon"], kind="number").reason.tolist() == [""]
    assert read(["soon", ""], kind="number", strict=True).reason.tolist() == ["x is not a number", ""]
    assert read(["soon", ""], kind="number", needed=True).reason.tolist() == ["x is not a number", "x is empty"]
    strict = read(["soon"], kind="number", strict=True)
    assert (strict.column[0], strict.value[0]) == ("x", "soon")


def test_a_column_that_the_file_lacks_is_told() -> None:
    frame = pd.DataFrame({"y": ["1"]}, dtype="str").assign(line=2)
    typed = read_columns([Column("x", kind="number"), Column("z", kind="date", optional=True)], frame)
    assert typed.rows[["x", "z"]].isna().all(axis=None)
    assert [(f.column, f.text) for f in typed.findings] == [("x", "the file has no such column")]


def test_bounds_and_fractions_are_checked() -> None:
    assert numbers(["4", "-1", "11", "5.5"], low=0, high=10, whole=True) == [4.0, None, None, None]
