"""Header names in any spelling, text above the header, and other ways in which lines come."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.contract.use_case import Table
from services.core.errors import VigieError
from services.core.raw_files.documents import list_documents
from services.core.raw_files.headers import missing_columns, renamed
from services.core.raw_files.table_detection import match_header, read_raw_tables

TABLE = Table("t", header_signature=("Num_Acc", "Max temp (°C)"), required=("Num_Acc",), key=("Num_Acc",))


def rows_of(folder: Path, text: str | bytes, table: Table = TABLE) -> list[list[str]]:
    path = folder / "file.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    ((_, sheet),) = [
        found
        for document in list_documents(path)
        for found in read_raw_tables(document, [table], match_header(document, [table]))
    ]
    return sheet.rows[["Num_Acc", "Max temp (°C)", "line"]].astype("str").to_numpy().tolist()


@pytest.mark.parametrize(
    "header",
    ["num_acc,max temp (°c)", "NUM ACC,MAX_TEMP_(°C)", "Num.Acc,Max.temp..C.", "Num_Acc,Max temp (Â°C)",
     "Num_Acc,Max temp (?C)", "Num_Acc,Max temp (C)", "Num_Acc,Max temp (\ufffdC)", "numacc,maxtempc",
     "Núm_Acc,Max temp (ºC)", '"Num_Acc", "Max temp (°C)"', " Num_Acc , Max temp (°C) "],
)  # fmt: skip
def test_a_header_is_known_however_it_is_written(tmp_path: Path, header: str) -> None:
    assert rows_of(tmp_path, f"{header}\n1,2\n") == [["1", "2", "2"]]


def test_a_degree_sign_in_another_encoding(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"Num_Acc,Max temp (\xb0C)\n1,2\n") == [["1", "2", "2"]]


@pytest.mark.parametrize("above", ["A title\n", "A title;;\n\n", '"Accidents 2019"\n"Source: ONISR"\n\n\n'])
def test_titles_above_the_header_of_any_file_are_left_out_and_lines_keep_their_numbers(
    tmp_path: Path, above: str
) -> None:
    line = above.count("\n") + 2
    assert rows_of(tmp_path, f"{above}Num_Acc;Max temp (°C)\n1;2\n") == [["1", "2", str(line)]]


@pytest.mark.parametrize(
    "text",
    ['"Num_Acc;Max temp (°C)"\n1;2\n', '"Num_Acc;Max temp (°C)"\n"1;2"\n',
     '"Num_Acc;""Max temp (°C)"""\n"1;""2"""\n', 'Num_Acc, "Max temp (°C)"\n1, "2"\n'],
)  # fmt: skip
def test_a_header_in_one_quoted_cell_and_blanks_after_commas(tmp_path: Path, text: str) -> None:
    assert rows_of(tmp_path, text) == [["1", "2", "2"]]


@pytest.mark.parametrize("end", [";\n", ";\n;\n", ";;;;\n;;;;\n", ' ; \n""; \n', "\n;\n3;4\n", ";\n3;4\n"])
def test_rows_of_delimiters_alone_are_no_rows(tmp_path: Path, end: str) -> None:
    rows = rows_of(tmp_path, f"Num_Acc;Max temp (°C)\n1;2\n{end}")
    assert [row[:2] for row in rows] == [["1", "2"], ["3", "4"]][: len(rows)]
    assert len(rows) == 1 + ("3" in end)


def test_an_exact_name_goes_before_a_similar_one() -> None:
    assert renamed(["Lum", "lum"], ["lum"]) == {}
    assert renamed(["LUM"], ["lum"]) == {"LUM": "lum"}
    assert missing_columns(["LUM"], ["lum", "atm|lum", "col"]) == ["col"]


def test_two_columns_of_one_name_that_differ_are_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(VigieError, match="two columns 'Num_Acc' that differ, first on line 3"):
        rows_of(tmp_path, "Num_Acc,num acc,Max temp (°C)\n1,1,2\n1,5,2\n")
    assert rows_of(tmp_path, "Num_Acc,Num_Acc,Max temp (°C)\n1,1,2\n") == [["1", "2", "2"]]
