"""Newer files correct older ones."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.contract.use_case import Table
from services.core.raw_files.reader import merge_tables

SINGLE = Table("t", header_signature=("k",), required=(), key=("k",))
UNITS = Table("t", header_signature=("k",), required=(), key=("k",), allow_duplicate_keys=True)


def frame(*rows: tuple[str, int]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["k", "v"]).astype({"k": "str", "v": "int64"})
    return table.assign(line=range(2, len(table) + 2))


def rows(merged: pd.DataFrame) -> list[tuple[str, int]]:
    return list(merged.itertuples(index=False, name=None))


def test_a_corrected_row_takes_the_place_of_the_old_one() -> None:
    assert rows(merge_tables(SINGLE, [frame(("a", 1), ("b", 2)), frame(("a", 3))])) == [("a", 3), ("b", 2)]


def test_within_a_file_the_last_row_of_a_key_wins() -> None:
    assert rows(merge_tables(SINGLE, [frame(("a", 1), ("a", 2))])) == [("a", 2)]


def test_a_unit_of_several_rows_is_replaced_as_a_whole() -> None:
    old, new = frame(("a", 1), ("a", 2), ("b", 3)), frame(("a", 9))
    assert rows(merge_tables(UNITS, [old, new])) == [("a", 9), ("b", 3)]


def test_the_rows_of_a_unit_keep_their_order_and_their_repetitions() -> None:
    assert rows(merge_tables(UNITS, [frame(("a", 2), ("a", 1), ("a", 2))])) == [("a", 2), ("a", 1), ("a", 2)]


def test_a_long_unit_keeps_its_order_too() -> None:
    long = pd.DataFrame({"k": [2, 1] * 200, "v": range(400)})
    merged = merge_tables(UNITS, [long])
    assert merged.loc[merged["k"] == 1, "v"].tolist() == list(range(1, 400, 2))


def test_line_numbers_are_left_out() -> None:
    assert "line" not in merge_tables(SINGLE, [frame(("a", 1))])


FRAMES = st.lists(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), min_size=1, max_size=6), min_size=1, max_size=4
)


@settings(max_examples=50)
@given(FRAMES, st.sampled_from([SINGLE, UNITS]))
def test_each_key_has_exactly_the_rows_of_the_newest_file_that_has_it(
    files: list[list[tuple[str, int]]], table: Table
) -> None:
    merged = rows(merge_tables(table, [frame(*file) for file in files]))
    expected = []
    for key in sorted({key for file in files for key, _ in file}):
        newest = [row for row in next(f for f in reversed(files) if any(k == key for k, _ in f)) if row[0] == key]
        expected += newest if table.allow_duplicate_keys else newest[-1:]
    assert merged == expected


@settings(max_examples=50)
@given(FRAMES, st.sampled_from([SINGLE, UNITS]))
def test_the_last_file_once_more_changes_nothing(files: list[list[tuple[str, int]]], table: Table) -> None:
    frames = [frame(*file) for file in files]
    assert merge_tables(table, [*frames, frames[-1]]).equals(merge_tables(table, frames))
