"""Excel workbooks hold the same tables, and land as their text."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.core.raw_files import landing
from services.core.raw_files import workbooks as workbooks_module
from services.core.raw_files.delimited_text import parse_csv_bytes
from services.core.raw_files.documents import list_documents
from services.core.raw_files.reader import read_files
from services.core.raw_files.workbooks import workbook_to_csv
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
    return dict(workbook_to_csv(io.BytesIO(data), name, lambda names: "delivery_id" in names))


def test_cells_become_the_text_of_a_csv_export() -> None:
    cells = [7.0, 1.5, date(2024, 3, 1), datetime(2024, 3, 1, 7, 40), time(7, 40), None, "a,b"]
    written = texts(workbook(one=[["delivery_id", "b", "c", "d", "e", "f", "g"], cells]))["one"]
    assert written.splitlines()[1] == '7,1.5,2024-03-01,2024-03-01 07:40:00,07:40:00,,"a,b"'


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
    fetched = FolderSource(toy, tmp_path / "drop", tmp_path / "cache").fetch(tmp_path / "landing")
    assert fetched.added == ("b.xlsx",)
    (file,) = landing.list_files(tmp_path / "landing")
    assert file.name == "b-01-data.csv"
    assert file.path.read_text().splitlines() == both[0].read_text().splitlines()


def test_an_unchanged_workbook_is_not_read_again(
    both: tuple[Path, Path], toy: UseCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FolderSource(toy, tmp_path / "drop", tmp_path / "cache")
    source.fetch(tmp_path / "landing")
    monkeypatch.delattr(workbooks_module, "workbook_to_csv")
    assert source.fetch(tmp_path / "landing").known == ("b.xlsx",)


def test_a_workbook_without_a_known_table_is_left_alone(toy: UseCase, tmp_path: Path, both: tuple[Path, Path]) -> None:
    (tmp_path / "drop" / "dictionary.xlsx").write_bytes(workbook(words=[["column", "meaning"], ["a", "b"]]))
    fetched = FolderSource(toy, tmp_path / "drop", tmp_path / "cache").fetch(tmp_path / "landing")
    assert fetched.ignored == {"dictionary.xlsx": "no sheet with a known header"}
