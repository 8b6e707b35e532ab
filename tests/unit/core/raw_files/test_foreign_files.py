"""Foreign files are left aside by name with their reason; the others are read."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from services.core.contract.use_case import ForeignFileError, ParsedTable, Table, UseCase
from services.core.errors import VigieError
from services.core.raw_files.ingest_report import IngestResult, ignored_text, report_lines
from services.core.raw_files.reader import read_files
from services.core.raw_files.table_detection import WEB_PAGE, joined_tables


@pytest.fixture
def drop(tmp_path: Path, deliveries: Callable[..., Path]) -> Path:
    return deliveries("drop/good.csv", range(8)).parent


def read(use_case: UseCase, folder: Path) -> IngestResult:
    return read_files(use_case, [(folder.name, folder)])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("page.csv", b"<!DOCTYPE html>\n<html><body>503</body></html>", WEB_PAGE),
        ("page.csv", b"\xef\xbb\xbf\n  <HTML lang='en'>", WEB_PAGE),
        ("refused.csv", b'<?xml version="1.0"?><Error>AccessDenied</Error>', "an XML document, not a table"),
        ("answer.csv", b'{"error": "rate limit"}', "JSON, not a table"),
        ("notes.pdf", b"%PDF-1.7\n", "a PDF document"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls): save it as .xlsx"),
        ("empty.csv", b"", "it is empty"),
        ("empty.xlsx", b"", "it is empty"),
        ("photo.png", b"\x89PNG\r\n\x1a\n\0\0", "neither text nor a workbook"),
    ],
)
def test_what_can_hold_no_table_is_named_with_what_it_is(
    toy: UseCase, drop: Path, name: str, content: bytes, reason: str
) -> None:
    (drop / name).write_bytes(content)
    result = read(toy, drop)
    assert result.ignored == {name: reason}
    assert len(result.tables["deliveries"]) == 8
    assert f"{name}: left aside: {reason}" in report_lines(result)


def damaged_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", "<w/>" * 2_000)
    return stream.getvalue()[:-60]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notice.docx", damaged_zip()),
        ("report.xlsx", b"PK\3\4 and nothing"),
        ("more.csv.gz", gzip.compress(b"a,b\n1,2\n" * 900, mtime=0)[:-40]),
        ("page.zip", b"<html>not found</html>"),
    ],
)
def test_a_damaged_document_is_left_aside_and_the_others_are_read(
    toy: UseCase, drop: Path, name: str, content: bytes
) -> None:
    (drop / name).write_bytes(content)
    result = read(toy, drop)
    assert len(result.tables["deliveries"]) == 8
    ((left, reason),) = result.ignored.items()
    assert left == name.removesuffix(".gz")
    assert "is damaged, cut off or locked" in reason


def test_a_damaged_file_that_landed_is_no_foreign_one(toy: UseCase, tmp_path: Path) -> None:
    (tmp_path / "0001-folder-0123456789abcdef-a.csv.gz").write_bytes(gzip.compress(b"a,b\n" * 900)[:-30])
    with pytest.raises(VigieError, match="is damaged"):
        read_files(toy, [("a.csv", next(tmp_path.iterdir()))])


def test_a_damaged_file_with_a_known_header_is_refused(
    toy: UseCase, drop: Path, deliveries: Callable[..., Path]
) -> None:
    whole = gzip.compress(deliveries("whole.csv", range(20_000)).read_bytes())
    (drop / "cut.csv.gz").write_bytes(whole[:-2_000])
    with pytest.raises(VigieError, match=r"cut\.csv is damaged"):
        read(toy, drop)


PARTS = (Table("left", ("a", "b"), (), ("a",)), Table("right", ("c", "d"), (), ("c",)))


def test_a_header_of_two_tables_is_a_join_of_them() -> None:
    assert joined_tables(["a", "b", "c", "d", "e"], PARTS) == ["left", "right"]
    assert joined_tables(["a", "b", "c"], PARTS) == []
    both = (replace(PARTS[0], includes=("right",)), PARTS[1])
    assert joined_tables(["a", "b", "c", "d"], both) == []


def test_a_file_that_the_use_case_calls_foreign_is_left_aside(
    toy: UseCase, drop: Path, deliveries: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picky:
        @staticmethod
        def parse_table(table: str, frame: object) -> ParsedTable:
            if len(frame) == 3:  # type: ignore[arg-type]
                raise ForeignFileError("no model knows its station: Nowhere")
            return real(table, frame)  # type: ignore[arg-type]

    real = toy.raw.parse_table
    monkeypatch.setattr(UseCase, "raw", Picky)
    deliveries("drop/other.csv", range(100, 103))
    result = read(toy, drop)
    assert result.ignored == {"other.csv": "no model knows its station: Nowhere"}
    assert len(result.tables["deliveries"]) == 8
    (drop / "good.csv").unlink()
    with pytest.raises(VigieError, match=r"Seen and left aside: other\.csv \(no model knows its station: Nowhere\)"):
        read(toy, drop)


def test_files_that_may_have_been_meant_are_named_first_among_many() -> None:
    ignored = {f"{number}.png": "neither text nor a workbook" for number in range(30)} | {"usagers.csv": WEB_PAGE}
    assert ignored_text(ignored).startswith(f"usagers.csv ({WEB_PAGE}); 0.png")
    assert ignored_text(ignored).endswith("and 21 more")


def test_rows_that_later_rows_of_the_file_replace_are_counted(toy: UseCase, deliveries: Callable[..., Path]) -> None:
    path = deliveries("a.csv", [1, 2, 3, 2, 1])
    result = read_files(toy, [("a.csv", path)])
    assert len(result.tables["deliveries"]) == 3
    assert any("it has the same delivery_id (2 rows, first on line 2)" in line for line in report_lines(result))


def test_with_collect_every_refusal_is_known_at_once(
    toy: UseCase, drop: Path, deliveries: Callable[..., Path], delivery: Callable[..., tuple[str, ...]]
) -> None:
    deliveries("drop/bad.csv", [1], delivery(2, kind="elephant"))
    (drop / "narrow.csv").write_text("delivery_id,distance,kind\nD1,1,letter\n")
    result = read_files(toy, [("drop", drop)], collect=True)
    assert sorted(error.problem.partition(" ")[0] for error in result.refusals) == ["bad.csv:", "narrow.csv"]
    assert [report.file for report in result.reports] == ["good.csv"]
