"""Files whose header stands below lines of text, and files whose name says something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from services.core.contract.use_case import ParsedTable, Table, UseCase
from services.core.errors import VigieError
from services.core.raw_files.reader import read_files
from tests.toy.declaration import USE_CASE as TOY

PLAIN = Table("plain", header_signature=("a", "b"), required=("a",), key=("a",), optional=True)
BELOW = Table("below", header_signature=("x", "y"), required=("x",), key=("x",), optional=True, max_preamble_lines=5)
NAMED = Table("named", header_signature=("p", "q"), required=("p",), key=("p",), optional=True, with_file_name=True)


class Passing:
    """Takes every row as it comes."""

    @staticmethod
    def parse_table(table: str, frame: pd.DataFrame) -> ParsedTable:  # noqa: ARG004 - the contract's signature
        return ParsedTable(frame, pd.DataFrame({"line": [], "reason": []}))


@pytest.fixture
def use_case(monkeypatch: pytest.MonkeyPatch) -> UseCase:
    monkeypatch.setattr(UseCase, "raw", Passing)
    return replace(TOY, data=replace(TOY.data, tables=(PLAIN, BELOW, NAMED)))


def read(use_case: UseCase, folder: Path, text: str, name: str = "file.csv") -> dict[str, pd.DataFrame]:
    (folder / name).write_text(text)
    return read_files(use_case, [(name, folder / name)]).tables


def test_the_text_above_a_header_comes_with_every_row(use_case: UseCase, tmp_path: Path) -> None:
    rows = read(use_case, tmp_path, 'About "Sydney", and more\n\nx,y\n1,2\n3,4\n')["below"]
    assert rows["x"].tolist() == ["1", "3"]
    assert rows["above"].tolist() == ['About "Sydney", and more'] * 2


def test_lines_keep_their_numbers(use_case: UseCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    plain = Passing.parse_table

    def note(table: str, frame: pd.DataFrame) -> ParsedTable:
        seen.extend(frame["line"])
        return plain(table, frame)

    monkeypatch.setattr(Passing, "parse_table", staticmethod(note))
    (tmp_path / "file.csv").write_text("one\ntwo\nx,y\n1,2\n3,4,5\n6,7\n")
    result = read_files(use_case, [("file.csv", tmp_path / "file.csv")], max_bad_share=0.5)
    assert seen == [4, 6]
    assert result.quarantine[0]["line"].tolist() == [5]


def test_a_header_at_the_top_needs_no_text(use_case: UseCase, tmp_path: Path) -> None:
    assert len(read(use_case, tmp_path, "x,y\n1,2\n")["below"]) == 1


def test_a_header_too_far_down_is_not_looked_for_and_text_above_comes_where_it_is_asked_for(
    use_case: UseCase, tmp_path: Path
) -> None:
    with pytest.raises(VigieError, match="unknown header"):
        read(use_case, tmp_path, "t\n" * 10 + "x,y\n1,2\n")
    assert "above" not in read(use_case, tmp_path, "t\na,b\n1,2\n")["plain"]


def test_a_files_name_comes_with_its_rows_where_it_is_asked_for(use_case: UseCase, tmp_path: Path) -> None:
    rows = read(use_case, tmp_path, "p,q\n1,2\n", "things-red.csv")["named"]
    assert rows["file"].tolist() == ["things-red.csv"]
    assert "file" not in read(use_case, tmp_path, "a,b\n1,2\n")["plain"]
