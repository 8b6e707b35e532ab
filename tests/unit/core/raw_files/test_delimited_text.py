"""Delimited text, as it comes from many hands."""

from __future__ import annotations

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import VigieError
from services.core.raw_files import delimited_text
from services.core.raw_files.delimited_text import DELIMITERS, parse_csv_bytes


def columns(data: bytes) -> dict[str, list[str]]:
    return {str(name): list(values) for name, values in parse_csv_bytes(data, "f.csv").rows.items() if name != "line"}


def test_every_value_is_the_text_that_stands_in_the_file() -> None:
    assert columns(b"id,n,when\n007,1.50,NA\n,null,\n") == {
        "id": ["007", ""],
        "n": ["1.50", "null"],
        "when": ["NA", ""],
    }


def test_names_lose_blanks_and_byte_order_marks() -> None:
    assert list(columns("\ufeff a ,b\u00a0\n1,2\n".encode())) == ["a", "b"]


def test_a_second_column_of_the_same_name_is_numbered() -> None:
    assert list(columns(b"id,id,line\n1,2,3\n")) == ["id", "id.1", "line.1"]


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_told_by_the_header(delimiter: str) -> None:
    data = delimiter.join(["a", "b", "c"]) + "\n" + delimiter.join(["1", "2", "3"]) + "\n"
    assert columns(data.encode()) == {"a": ["1"], "b": ["2"], "c": ["3"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_accents_survive_every_encoding(encoding: str) -> None:
    assert columns("commune,coût\nÉvry,5\n".encode(encoding)) == {"commune": ["Évry"], "coût": ["5"]}


def test_a_byte_that_windows_does_not_know_is_latin_1() -> None:
    assert columns(b"a,b\n\x81\xe9,1\n")["a"] == ["\x81é"]


def test_bytes_that_are_no_text_are_refused_in_plain_words() -> None:
    with pytest.raises(VigieError, match="cannot be read as text: it holds zero bytes"):
        parse_csv_bytes(b"a,b\n\0\1,2\n", "f.csv")


def test_rows_know_their_line_even_behind_fields_with_line_breaks() -> None:
    sheet = parse_csv_bytes(b'a,b\n1,"x\ny\nz"\n\n2,p\n', "f.csv")
    assert list(sheet.rows["b"]) == ["x\ny\nz", "p"]
    assert list(sheet.rows["line"]) == [2, 6]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read(ending: str) -> None:
    sheet = parse_csv_bytes(ending.join(["a,b", "1,2", "3,4", ""]).encode(), "f.csv")
    assert list(sheet.rows["b"]) == ["2", "4"]
    assert list(sheet.rows["line"]) == [2, 3]


def test_a_row_of_another_width_is_a_fault_with_its_line_and_the_rest_is_read() -> None:
    sheet = parse_csv_bytes(b"a,b,c\n1,2,3\n1,2\n4,5,6\n7,8,9,10\n", "f.csv")
    assert list(sheet.rows["a"]) == ["1", "4"]
    assert sheet.faults.to_dict("records") == [
        {"line": 3, "reason": "the row has 2 fields, the header 3", "row": "1,2"},
        {"line": 5, "reason": "the row has 4 fields, the header 3", "row": "7,8,9,10"},
    ]


def test_a_delimiter_at_the_end_of_every_row_is_no_fault() -> None:
    assert columns(b"a;b\n1;2;\n3;4;\n") == {"a": ["1", "3"], "b": ["2", "4"]}


def test_a_file_cut_off_inside_a_quoted_field_loses_that_row_and_says_so() -> None:
    sheet = parse_csv_bytes(b'a,b\n1,2\n3,"half of a fie', "f.csv")
    assert list(sheet.rows["a"]) == ["1"]
    assert list(sheet.faults["reason"]) == ["the file ends inside a quoted field"]


def test_a_cut_off_file_is_noticed_even_when_its_quotes_happen_to_be_even() -> None:
    sheet = parse_csv_bytes(b'a,b,c\n1,2,3\n4",5,"6', "f.csv")
    assert list(sheet.rows["a"]) == ["1"]
    assert list(sheet.faults["line"]) == [3]


def test_a_missing_quote_that_would_swallow_a_file_is_refused() -> None:
    rows = "".join(f"{number},x\n" for number in range(50_000))
    with pytest.raises(VigieError, match="field larger than field limit"):
        parse_csv_bytes(f'a,b\n1,"open\n{rows}'.encode(), "f.csv")


def test_an_empty_file_has_no_columns() -> None:
    assert columns(b"") == {}


def test_a_header_alone_has_no_rows() -> None:
    sheet = parse_csv_bytes(b"a,b\n", "f.csv")
    assert list(sheet.rows.columns) == ["a", "b", "line"]
    assert sheet.rows.empty


FIELD = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=12)
NAME = st.text("abcdefgh_", min_size=1, max_size=6)


@st.composite
def written_files(draw: st.DrawFn) -> tuple[list[str], list[list[str]], str]:
    names = draw(st.lists(NAME, min_size=2, max_size=5, unique=True))
    rows = draw(st.lists(st.lists(FIELD, min_size=len(names), max_size=len(names)), max_size=8))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    if quoting == csv.QUOTE_MINIMAL:  # this writer leaves a lone carriage return unquoted: its mistake
        rows = [[field.replace("\r", "") for field in row] for row in rows]
    stream = io.StringIO(newline="")
    writer = csv.writer(
        stream,
        delimiter=draw(st.sampled_from(DELIMITERS)),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=quoting,
    )
    writer.writerows([names, *rows])
    return names, rows, stream.getvalue()


@given(written_files())
def test_what_a_csv_writer_wrote_is_read_back(file: tuple[list[str], list[list[str]], str]) -> None:
    names, rows, written = file
    sheet = parse_csv_bytes(written.encode(), "f.csv")
    assert sheet.faults.empty
    assert [str(name) for name in sheet.rows.columns if name != "line"] == names
    assert sheet.rows[names].to_numpy().tolist() == [row for row in rows if any(map(str.strip, row))]


@given(written_files())
def test_the_line_of_a_row_is_where_it_starts_in_the_file(file: tuple[list[str], list[list[str]], str]) -> None:
    names, _, written = file
    lines = io.StringIO(written, newline="").readlines()
    sheet = parse_csv_bytes(written.encode(), "f.csv")
    _, delimiter = delimited_text.read_header(written)
    for values in sheet.rows.itertuples(index=False):
        rest = "".join(lines[values.line - 1 :])
        assert next(csv.reader(io.StringIO(rest, newline=""), delimiter=delimiter)) == list(values)[: len(names)]


@given(st.lists(st.lists(st.text("ab\"',;\n\r ", max_size=6), min_size=1, max_size=4).map(",".join), max_size=6))
def test_the_fast_and_the_careful_reader_agree_wherever_the_fast_one_answers(lines: list[str]) -> None:
    written = "x,y,z\n" + "\n".join(lines)
    fields, delimiter = delimited_text.read_header(written)
    fast = delimited_text._parse_fast(written, fields, delimiter)
    if fast is not None:
        careful = delimited_text._parse_line_by_line(written, "f.csv", fields, delimiter)
        assert fast.to_numpy().tolist() == careful.rows.to_numpy().tolist()


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_in_plain_words(data: bytes) -> None:
    with suppress(VigieError):
        parse_csv_bytes(data, "f.csv")
