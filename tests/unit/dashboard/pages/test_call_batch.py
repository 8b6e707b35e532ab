"""Files of calls, read and written."""

from __future__ import annotations

import datetime as dt
import io

import openpyxl
import pytest

from services.core import use_case_registry
from services.core.errors import VigieError
from services.dashboard.pages.call import batch

FIRE = use_case_registry.get("fire_response")


def test_columns_may_be_called_by_name_or_by_title_in_either_language() -> None:
    rows = batch.read_rows("a.csv", b"call_time;Est (Easting);Northing;Colour\n2024-03-14T18:25;530850,5;180950;red\n")
    found, known, left = batch.to_requests(FIRE.serving.request, rows)
    assert found == [{"call_time": "2024-03-14T18:25", "easting": 530_850.5, "northing": 180_950}]
    assert known == ["call_time", "easting", "northing"]
    assert left == ["Colour"]


def test_an_excel_file_is_read_with_its_dates() -> None:
    book, out = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    sheet.append(["call_time", "easting"])
    sheet.append([dt.datetime(2024, 3, 14, 18, 25), 530_850])
    sheet.append([None, None])
    book.save(out)
    rows = batch.read_rows("a.xlsx", out.getvalue())
    assert batch.to_requests(FIRE.serving.request, rows)[0] == [
        {"call_time": "2024-03-14T18:25:00", "easting": 530_850}
    ]


@pytest.mark.parametrize(("name", "content"), [("a.csv", b"\x00\x01\x02"), ("a.xlsx", b"PK no zip"), ("a.xlsx", b"")])
def test_what_is_no_such_file_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(VigieError):
        batch.read_rows(name, content)


def test_nothing_that_is_written_runs_in_a_spreadsheet() -> None:
    text = batch.write_csv([["=HYPERLINK(1)", "+1", "fine", -3.5, True]]).decode("utf-8-sig")
    assert text == "'=HYPERLINK(1),'+1,fine,-3.5,true\r\n"


def test_the_template_of_a_use_case_can_be_read_again() -> None:
    rows = batch.read_rows("t.csv", batch.csv_template(FIRE.serving.request))
    assert set(batch.to_requests(FIRE.serving.request, rows)[1]) == set(FIRE.serving.request.model_fields)
