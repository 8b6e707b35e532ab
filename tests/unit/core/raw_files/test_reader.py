"""Bad rows go to quarantine, bad files are refused whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.core.raw_files.reader import read_files, read_folder


def test_a_bad_row_is_quarantined_with_file_line_reason_and_text_and_the_rest_is_read(
    toy: UseCase, deliveries: Callable[..., Path], delivery: Callable[..., tuple[str, ...]]
) -> None:
    path = deliveries("a.csv", range(30), delivery(99, kind="elephant"))
    ingested = read_files(toy, [("a.csv", path)])
    assert len(ingested.tables["deliveries"]) == 30
    (refused,) = pd.concat(ingested.quarantine).to_dict("records")
    assert (refused["file"], refused["table"], refused["line"]) == ("a.csv", "deliveries", 32)
    assert refused["reason"] == "kind is not letter or parcel"
    assert json.loads(refused["row"])["delivery_id"] == "D0099"
    assert [(report.rows, report.quarantined) for report in ingested.reports] == [(30, 1)]


def test_rows_of_another_width_are_quarantined_too(toy: UseCase, deliveries: Callable[..., Path]) -> None:
    path = deliveries("a.csv", range(30), ("D1", "too", "short"))
    (refused,) = pd.concat(read_files(toy, [("a.csv", path)]).quarantine).to_dict("records")
    assert refused["reason"] == "the row has 3 fields, the header 7"
    assert refused["row"] == "D1,too,short"


def test_more_bad_rows_than_allowed_refuse_the_file_and_say_why(
    toy: UseCase, deliveries: Callable[..., Path], delivery: Callable[..., tuple[str, ...]]
) -> None:
    bad = [delivery(100 + number, distance="far") for number in range(3)]
    path = deliveries("monday.csv", range(37), *bad, delivery(200, kind="elephant"))
    with pytest.raises(VigieError) as caught:
        read_files(toy, [("monday.csv", path)])
    assert caught.value.problem == (
        "monday.csv: 4 of 41 rows (9.8%) are bad: distance is not a number (3 rows, first on line 39); "
        "kind is not letter or parcel (1 rows, first on line 42). Nothing was changed."
    )


def test_the_share_is_of_each_file_so_a_small_bad_file_does_not_hide_behind_a_large_good_one(
    toy: UseCase, deliveries: Callable[..., Path], delivery: Callable[..., tuple[str, ...]]
) -> None:
    good = deliveries("good.csv", range(200))
    bad = deliveries("bad.csv", [1000], delivery(1001, kind="elephant"))
    with pytest.raises(VigieError, match=r"^bad\.csv: 1 of 2 rows"):
        read_files(toy, [("good.csv", good), ("bad.csv", bad)])


def test_exactly_the_allowed_share_passes(
    toy: UseCase, deliveries: Callable[..., Path], delivery: Callable[..., tuple[str, ...]]
) -> None:
    path = deliveries("a.csv", range(19), delivery(99, kind="elephant"))
    assert len(read_files(toy, [("a.csv", path)], max_bad_share=0.05).tables["deliveries"]) == 19


def test_a_missing_required_column_refuses_the_file_and_names_it(
    toy: UseCase, tmp_path: Path, as_csv: Callable[..., bytes]
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv([("D1", "1", "letter")], header=("delivery_id", "distance", "kind")))
    with pytest.raises(VigieError) as caught:
        read_files(toy, [("a.csv", path)])
    assert "has no column called_at|time, town, seconds, size" in caught.value.problem


def test_either_of_two_names_will_do_for_a_required_column(
    toy: UseCase, tmp_path: Path, delivery: Callable[..., tuple[str, ...]], as_csv: Callable[..., bytes]
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        as_csv([delivery()], header=("delivery_id", "time", "distance", "kind", "town", "seconds", "size"))
    )
    assert len(read_files(toy, [("a.csv", path)]).tables["deliveries"]) == 1


def test_no_file_of_a_table_that_is_needed_is_an_error_that_tells_what_was_seen(toy: UseCase, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(VigieError) as caught:
        read_files(toy, [("drop", tmp_path)])
    assert "No file of toy holds the table deliveries" in caught.value.problem
    assert "other.csv (unknown header)" in caught.value.problem


def test_a_folder_is_read_in_memory_and_nothing_is_written_into_it(
    tmp_path: Path, deliveries: Callable[..., Path]
) -> None:
    deliveries("drop/sub/a.csv", range(5))
    (tmp_path / "drop" / "notes.pdf").write_bytes(b"%PDF\0")
    before = sorted(tmp_path.rglob("*"))
    assert len(read_folder("toy", tmp_path / "drop")["deliveries"]) == 5
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_is_not_there_is_an_error() -> None:
    with pytest.raises(VigieError, match="is not a folder"):
        read_folder("toy", Path("nowhere"))
