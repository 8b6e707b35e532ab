"""Files of calls, read and written."""

from __future__ import annotations

import datetime as dt
import io
import time
import zipfile
from collections.abc import Sequence
from typing import Any

import openpyxl
import psutil
import pytest

from services.core import use_case_registry
from services.core.errors import VigieError
from services.dashboard.pages.call import batch
from services.dashboard.pages.call.batch_file import CallFileError
from services.dashboard.pages.call.batch_values import ParsedCalls, read_calls

FIRE = use_case_registry.get("fire_response").serving.request
ROAD = use_case_registry.get("road_accidents").serving.request


def parsed(text: str, model: Any = FIRE, most: int = 100) -> ParsedCalls:
    return read_calls(model, "a.csv", text.encode(), most)


def workbook(*sheets: Sequence[Sequence[Any]]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.active)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(list(row))
    book.save(out)
    return out.getvalue()


def faults(found: ParsedCalls) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.column, fault.message.code.removeprefix("call.")) for fault in found.faults]


def requests(found: ParsedCalls) -> list[dict[str, Any]]:
    return [request for _, request in found.requests]


def test_columns_may_be_called_by_name_or_by_title_in_either_language() -> None:
    found = parsed("call_time;Est (Easting);Northing;Colour\n2024-03-14T18:25;530850,5;180950;red\n")
    assert requests(found) == [{"call_time": "2024-03-14T18:25", "easting": 530_850.5, "northing": 180_950}]
    assert (found.known, found.unused) == (["call_time", "easting", "northing"], ["Colour"])


@pytest.mark.parametrize(
    "title", ["incident_id", "Incident id", "INCIDENT-ID", "Incident number", "Numéro d'intervention"]
)
def test_the_incident_number_is_taken_in_any_spelling(title: str) -> None:
    found = parsed(f"{title},call_time,easting,northing\n2026-0001,2026-11-27T08:00:00,530850,180950\n")
    assert requests(found)[0]["incident_id"] == "2026-0001"
    assert found.unused == []


def test_whole_numbers_of_workbooks_keep_their_digits_however_they_are_written() -> None:
    """Java libraries write large numbers with exponents."""
    plain = workbook([["incident_id", "easting"], [202400118041, 530_850], [202400118042, 530_850]])
    with zipfile.ZipFile(io.BytesIO(plain)) as old, zipfile.ZipFile(java := io.BytesIO(), "w") as new:
        for name in old.namelist():
            body = old.read(name)
            for number in (b"202400118041", b"202400118042"):
                body = body.replace(b"<v>" + number + b"</v>", f"<v>{float(number):.11E}</v>".encode())
            new.writestr(name, body)
    assert b"E+11" in zipfile.ZipFile(java).read("xl/worksheets/sheet1.xml")
    for content in (plain, java.getvalue()):
        found = read_calls(FIRE, "a.xlsx", content, 100)
        assert [request["incident_id"] for request in requests(found)] == ["202400118041", "202400118042"]


@pytest.mark.parametrize("cell", ["2.0240E+11", "2,02E+11"])
def test_an_incident_number_that_a_spreadsheet_rounded_is_named(cell: str) -> None:
    assert faults(parsed(f"incident_id;easting\n{cell};530850\n")) == [(2, "incident_id", "cell_rounded")]
    found = read_calls(FIRE, "a.xlsx", workbook([["incident_id"], [20_240_011_804_212_345]]), 100)
    assert faults(found) == [(2, "incident_id", "cell_rounded")]


def test_the_line_of_a_call_is_that_of_the_file() -> None:
    found = parsed('\n\ncall_time,easting,northing,property_type\n\n,1,2,\n,,,\n,3,4,"two\nlines"\n,5,6,\n')
    assert [line for line, _ in found.requests] == [5, 7, 9]
    assert found.requests[1][1]["property_type"] == "two\nlines"
    book = workbook([["call_time", "easting"], [None, None], [None, 530_850]])
    assert [line for line, _ in read_calls(FIRE, "a.xlsx", book, 100).requests] == [3]


@pytest.mark.parametrize("second", ["easting", "Easting", "EASTING", "Est (Easting)"])
def test_a_column_that_is_there_twice_is_refused_by_name(second: str) -> None:
    with pytest.raises(CallFileError) as caught:
        parsed(f"call_time,easting,northing,{second}\n2026-11-27T08:00:00,530850,180950,520000\n")
    assert caught.value.message.code == "call.column_twice"
    assert caught.value.message.values == {"name": "easting", "columns": f"2 (easting), 4 ({second})"}


def test_cells_beyond_the_header_are_named() -> None:
    found = parsed("call_time,easting,northing,property_type\n,530850,180950,Flat, 4 storeys\n,1,2,x,,\n")
    assert faults(found) == [(2, "5", "cell_beyond")]
    assert [line for line, _ in found.requests] == [3], "separators at the end are common"


def test_a_column_without_a_title_is_told_by_its_number() -> None:
    found = read_calls(FIRE, "a.xlsx", workbook([["easting", "northing", None], [1, 2, 3]]), 100)
    assert (requests(found), found.unused) == ([{"easting": 1, "northing": 2}], ["3"])
    assert parsed("easting,northing,\n1,2,3\n").unused == ["3"]
    assert parsed("easting,northing,\n1,2,\n").unused == []


@pytest.mark.parametrize(
    "lines",
    [
        [',1,2,"House', ",1,2,x", ',1,2,"x"', ",1,2,x"],
        [',1,2,"House', ",1,2,x", ',1,2,x"', ",1,2,x"],
        [',1,2,"House', ",1,2,x", ",1,2,x", ",1,2,x"],
        [',1,2,"House" of', ",1,2,x", ",1,2,x", ",1,2,x"],
    ],
)
def test_a_quote_that_is_not_closed_swallows_no_calls(lines: list[str]) -> None:
    found = parsed("\n".join(["call_time,easting,northing,property_type", *lines]) + "\n")
    assert (2, "4", "cell_quote") in faults(found)
    named = {line for line, _, _ in faults(found)}
    assert {line for line, _ in found.requests} | named == {2, 3, 4, 5}, "each line is read or named"
    assert all("\n" not in str(request.get("property_type")) for request in requests(found))


@pytest.mark.parametrize("cell", ['"1,000"', "1.000", '"12,345.5"', "1 000", "1\u202f000", "1'000", "1.234.567"])
def test_a_number_that_may_have_thousands_separators_is_named(cell: str) -> None:
    found = parsed(f"occurred_at,people\n2026-11-27T08:00:00,{cell}\n", ROAD)
    assert faults(found) == [(2, "people", "cell_thousands")]


def test_the_files_other_numbers_decide_what_a_comma_is() -> None:
    head = "people;latitude;longitude\n"
    assert requests(parsed(head + "1,000;48,8566;2,352\n", ROAD)) == [
        {"people": 1, "latitude": 48.8566, "longitude": 2.352}
    ]
    assert faults(parsed(head + "1,000;48.8566;2.352\n", ROAD)) == [(2, "people", "cell_thousands")]


def test_bounds_decide_where_only_one_reading_is_possible() -> None:
    assert requests(parsed("latitude;longitude\n48.856;2.352\n", ROAD)) == [{"latitude": 48.856, "longitude": 2.352}]


@pytest.mark.parametrize("cell", ["5.3085e5", "5,3E+05", "1E3"])
def test_a_number_with_an_exponent_is_named(cell: str) -> None:
    assert faults(parsed(f"easting;northing\n{cell};180950\n")) == [(2, "easting", "cell_exponent")]


@pytest.mark.parametrize("cell", ["530850m", "nan", "inf", "-", "1_000", "£5", "12."])
def test_what_is_no_number_is_named_and_not_coerced(cell: str) -> None:
    assert faults(parsed(f"easting;northing\n{cell};180950\n")) == [(2, "easting", "cell_no_number")]


def test_a_number_is_no_time_and_a_spreadsheets_error_no_word() -> None:
    found = parsed("call_time;easting;property_type\n45577.78;1;x\n45577;1;#N/A\n2026-11-27T08:00;1;#NOM?\n")
    assert [(line, code) for line, _, code in faults(found)] == [
        (2, "cell_no_time"), (3, "cell_no_time"), (3, "cell_error"), (4, "cell_error"),
    ]  # fmt: skip


def test_a_file_that_was_cut_off_is_not_read_to_a_shorter_number() -> None:
    found = parsed("call_time,easting,northing,property_type\n,530850,180950,x\n,530850,18")
    assert faults(found) == [(3, "", "line_cut")]
    assert len(found.requests) == 1


def test_a_cell_without_end_is_named() -> None:
    found = parsed("easting,property_type\n1," + "x" * 140_000 + "\n2,y\n")
    assert faults(found) == [(2, "", "cell_long")]
    assert requests(found) == [{"easting": 2, "property_type": "y"}]


def test_the_sheet_with_the_calls_is_read_wherever_it_lies() -> None:
    cover, calls = [["About these calls"], ["as of today"]], [["easting", "northing"], [530_850, 180_950]]
    assert requests(read_calls(FIRE, "a.xlsx", workbook(cover, [], calls), 100)) == [
        {"easting": 530_850, "northing": 180_950}
    ]
    with pytest.raises(CallFileError) as caught:
        read_calls(FIRE, "a.xlsx", workbook(calls, cover, calls), 100)
    assert caught.value.message.code == "call.file_sheets"


def test_an_excel_file_is_read_with_its_dates() -> None:
    rows = [["call_time", "easting"], [dt.datetime(2024, 3, 14, 18, 25), 530_850], [None, None], [True, 5]]
    found = read_calls(FIRE, "a.xlsx", workbook(rows), 100)
    assert found.requests[0] == (2, {"call_time": "2024-03-14T18:25:00", "easting": 530_850})


def test_a_file_with_too_many_calls_is_not_read_to_its_end() -> None:
    endless = "easting\n" + "530850\n" * 200_000
    begun = time.process_time()
    with pytest.raises(CallFileError) as caught:
        parsed(endless, most=10)
    assert caught.value.message.code == "call.file_long"
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize("corner", [b"A9000", b"XFD9000", b"XFD1048576"])
def test_a_workbook_that_says_it_is_endless_costs_neither_memory_nor_time(corner: bytes) -> None:
    """1.7 KB that made 147 million cells, by their places or by what the sheet says of itself."""
    with zipfile.ZipFile(io.BytesIO(workbook([["easting"]]))) as old, zipfile.ZipFile(out := io.BytesIO(), "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                row = b'<row r="%s"><c r="%s"><v>1</v></c></row></sheetData>'
                body = body.replace(b"</sheetData>", row % (corner.lstrip(b"AFXD"), corner))
                body = body.replace(b'<dimension ref="A1"/>', b'<dimension ref="A1:XFD1048576"/>')
            new.writestr(name, body)
    before, begun = psutil.Process().memory_info().rss, time.monotonic()
    if corner == b"A9000":
        assert requests(read_calls(FIRE, "a.xlsx", out.getvalue(), 10_000)) == [{"easting": 1}]
    else:
        with pytest.raises(VigieError, match="cells"):
            read_calls(FIRE, "a.xlsx", out.getvalue(), 10_000)
    assert psutil.Process().memory_info().rss - before < 50 << 20
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(("name", "content"), [("a.csv", b"\x00\x01\x02"), ("a.xlsx", b"PK no zip"), ("a.xlsx", b"")])
def test_what_is_no_such_file_is_refused(name: str, content: bytes) -> None:
    with pytest.raises((CallFileError, VigieError)):
        read_calls(FIRE, name, content, 100)


def test_excels_unicode_text_and_its_line_about_the_separator_are_understood() -> None:
    text = "sep=;\r\neasting;property_type\r\n1;Café\r\n"
    for content in (text.encode("utf-16"), text.encode("cp1252"), text.encode("utf-8-sig")):
        found = read_calls(FIRE, "a.csv", content, 100)
        assert found.requests == [(3, {"easting": 1, "property_type": "Café"})]


def test_nothing_that_is_written_runs_in_a_spreadsheet() -> None:
    text = batch.write_csv([["=HYPERLINK(1)", "+1", "fine", -3.5, True, "x;=1+1;"]]).decode("utf-8-sig")
    assert text == "'=HYPERLINK(1),'+1,fine,-3.5,true,x;'=1+1;\r\n"
    book = openpyxl.load_workbook(io.BytesIO(batch.write_workbook([["=1+1", "x\n=1"]])))
    assert [cell.value for cell in book.active[1]] == ["'=1+1", "x\n'=1"]


def test_the_template_of_a_use_case_can_be_read_again() -> None:
    for use_case in use_case_registry.list_use_cases():
        found = read_calls(use_case.serving.request, "t.csv", batch.csv_template(use_case.serving.request), 100)
        assert set(found.known) == set(use_case.serving.request.model_fields)
        assert found.faults == []
