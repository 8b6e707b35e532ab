"""Excel workbooks hold the same tables, and land as their text."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.core.raw_files import landing, workbooks
from services.core.raw_files.delimited_text import parse_csv_bytes
from services.core.raw_files.documents import list_documents
from services.core.raw_files.reader import read_files
from services.core.raw_files.workbooks import WorkbookBudget, workbook_to_csv
from services.ingestion.sources.local import FolderSource

HEADER = ["delivery_id", "called_at", "distance", "kind", "town", "seconds", "size"]


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def texts(data: bytes, name: str = "f.xlsx") -> dict[str, str]:
    return dict(workbook_to_csv(io.BytesIO(data), name, [["delivery_id"]]))


def test_cells_become_the_text_of_a_csv_export() -> None:
    cells = [7.0, 1.5, date(2024, 3, 1), datetime(2024, 3, 1, 7, 40), time(7, 40), None, "a,b"]
    written = texts(workbook(one=[["delivery_id", "b", "c", "d", "e", "f", "g"], cells]))["one"]
    assert written.splitlines()[1] == '7,1.5,2024-03-01,2024-03-01 07:40:00,07:40:00,,"a,b"'


def test_cells_are_read_as_openpyxl_reads_them() -> None:
    cells = [True, False, timedelta(hours=30, minutes=5), -3, 1e-7, 1e22, "#N/A", "#DIV/0!", "007", " x ", "=1/0"]
    cells += [datetime(2024, 3, 1, 23, 59, 59, 999_600), time(0, 0), date(1900, 3, 5), 0.1 + 0.2]
    data = workbook(notes=[["#N/A"]], one=[["delivery_id", *"abcdefghijklmn"], cells, [None, *cells[:-1]]])
    expected = 'True,False,"1 day, 6:05:00",-3,1e-07,10000000000000000000000,#N/A,#DIV/0!,007, x ,,'
    expected = expected.replace('\\"', '"') + "2024-03-02,00:00:00,1900-03-05,0.3"
    lines = texts(data)["one"].splitlines()
    assert lines[1] == expected
    assert lines[2] == f",{expected.rpartition(',')[0]}"


def test_an_error_cell_on_the_edge_of_a_block_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [["delivery_id", "b"], *([number, "#N/A"] for number in range(200))]
    (tmp_path / "f.xlsx").write_bytes(workbook(notes=[["hello"]], one=rows))
    monkeypatch.setattr(workbooks, "_CHUNK", 97)
    found = workbooks._error_cells(tmp_path / "f.xlsx", 1)
    assert found == {row: {1: "#N/A"} for row in range(2, 202)}


def stray_cell(row: int, column: int) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(HEADER)
    sheet.cell(row=row, column=column, value="stray")
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_one_cell_in_the_last_corner_is_refused_in_words_and_takes_no_memory() -> None:
    with pytest.raises(VigieError, match=r"odd\.xlsx needs more than 4096 MB of memory"):
        texts(stray_cell(1_048_576, 16_384), "odd.xlsx")


def test_a_sheet_that_spans_too_many_cells_is_refused_by_name() -> None:
    budget = WorkbookBudget(cells=10_000)
    with pytest.raises(VigieError, match=r"the sheet 'Sheet' of 2,000 rows by 7 columns, more cells than allowed"):
        list(workbook_to_csv(io.BytesIO(stray_cell(2_000, 7)), "odd.xlsx", [["delivery_id"]], budget))


def test_a_workbook_that_takes_too_long_is_refused_and_its_process_ends() -> None:
    with pytest.raises(VigieError, match=r"f\.xlsx takes more than 0 seconds to read"):
        list(
            workbook_to_csv(io.BytesIO(workbook(one=[HEADER])), "f.xlsx", [["delivery_id"]], WorkbookBudget(seconds=0))
        )


def test_the_header_may_stand_below_a_title_and_rows_keep_their_numbers() -> None:
    rows = [["Deliveries of 2024"], [], HEADER, ["D1", "two\nlines"], [], ["D2"]]
    sheet = parse_csv_bytes(texts(workbook(one=rows))["one"].encode(), "f.xlsx")
    assert list(sheet.rows["delivery_id"]) == ["D1", "D2"]
    assert list(sheet.rows["line"]) == [4, 6]
    assert list(sheet.rows["called_at"]) == ["two lines", ""]


def test_only_the_sheets_with_a_known_header_are_read() -> None:
    assert list(texts(workbook(notes=[["read me"], ["please"]], empty=[], data=[HEADER, ["D1"]]))) == ["data"]


@pytest.mark.parametrize("kept", [0.2, 0.7, 0.98])
def test_a_workbook_that_was_cut_off_is_an_error_in_plain_words(tmp_path: Path, kept: float) -> None:
    data = workbook(data=[HEADER, *([f"D{number}"] for number in range(50))])
    (tmp_path / "cut.xlsx").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(VigieError, match=r"cut\.xlsx is"):
        [document.read() for document in list_documents(tmp_path)]


def test_a_workbook_with_a_broken_sheet_is_an_error_in_plain_words() -> None:
    source, target = io.BytesIO(workbook(data=[HEADER, ["D1"]])), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"<broken" if "sheet1" in name and "rels" not in name else old.read(name))
    with pytest.raises(VigieError, match=r"odd\.xlsx is not a readable Excel workbook"):
        texts(target.getvalue(), "odd.xlsx")


@pytest.fixture
def both(tmp_path: Path, deliveries: Callable[..., Path]) -> tuple[Path, Path]:
    """The same rows as a CSV file and as a workbook in a folder of its own."""
    csv_file = deliveries("a.csv", range(1, 20))
    (tmp_path / "drop").mkdir()
    lines = [line.split(",") for line in csv_file.read_text().splitlines()]
    (tmp_path / "drop" / "b.xlsx").write_bytes(workbook(notes=[["hello"]], data=[[*row] for row in lines]))
    return csv_file, tmp_path / "drop" / "b.xlsx"


def test_a_workbook_makes_the_same_table_as_the_csv_file(both: tuple[Path, Path], toy: UseCase) -> None:
    from_csv, from_workbook = (read_files(toy, [(path.name, path)]).tables["deliveries"] for path in both)
    assert from_csv.equals(from_workbook)


def test_a_workbook_lands_as_the_text_of_its_table(both: tuple[Path, Path], toy: UseCase, tmp_path: Path) -> None:
    fetched = FolderSource(toy, tmp_path / "drop").fetch(tmp_path / "landing")
    assert fetched.added == ("b.xlsx",)
    (file,) = landing.list_files(tmp_path / "landing")
    assert file.name == "b-01-data.csv"
    assert file.path.read_text().splitlines() == both[0].read_text().splitlines()


def test_an_unchanged_workbook_lands_once_and_leaves_no_texts_behind(
    both: tuple[Path, Path], toy: UseCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {path.name for path in tmp_path.iterdir()} | {"landing"}
    source = FolderSource(toy, tmp_path / "drop")
    source.fetch(tmp_path / "landing")
    assert source.fetch(tmp_path / "landing").known == ("b.xlsx",)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_workbook_without_a_known_table_is_left_alone(toy: UseCase, tmp_path: Path, both: tuple[Path, Path]) -> None:
    (tmp_path / "drop" / "dictionary.xlsx").write_bytes(workbook(words=[["column", "meaning"], ["a", "b"]]))
    fetched = FolderSource(toy, tmp_path / "drop").fetch(tmp_path / "landing")
    assert fetched.ignored == {"dictionary.xlsx": "no sheet with a known header"}
