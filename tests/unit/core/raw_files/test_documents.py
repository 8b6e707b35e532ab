"""Which documents a folder holds, archives included, and what is reported about damaged ones."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.core.raw_files.documents import list_documents
from services.core.raw_files.table_detection import match_header


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def contents(path: Path) -> dict[str, bytes]:
    return {document.name: document.read() for document in list_documents(path)}


def test_files_of_subfolders_zips_and_zips_inside_zips_are_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.csv").write_bytes(b"a")
    (tmp_path / "b.zip").write_bytes(zipped(**{"deep/b.csv": b"b", "c.zip": zipped(**{"c.csv": b"c"})}))
    assert contents(tmp_path) == {"b.zip/c.zip/c.csv": b"c", "b.zip/deep/b.csv": b"b", "sub/a.csv": b"a"}


def test_an_archive_is_opened_once_to_look_at_all_its_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "many.zip").write_bytes(zipped(**{f"{number:04d}.jpg": b"\xff\xd8\0" for number in range(300)}))
    opened: list[str] = []
    inside = zipfile.ZipFile.__init__
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *args, **named: opened.append("") or inside(*args, **named))
    assert len(list(list_documents(tmp_path))) == 300
    assert len(opened) == 1


def test_gzip_is_read_through(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n"))
    assert contents(tmp_path) == {"a.csv": b"a,b\n"}


def test_a_member_that_names_a_path_outside_writes_nothing_anywhere(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "evil.zip").write_bytes(zipped(**{"../../escaped.csv": b"x"}))
    assert contents(folder) == {"evil.zip/../../escaped.csv": b"x"}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["evil.zip"]


def test_hidden_files_and_the_locks_of_office_programs_are_passed_by(tmp_path: Path) -> None:
    (tmp_path / ".hidden.csv").write_bytes(b"x")
    (tmp_path / "~$open.xlsx").write_bytes(b"x")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_zip_that_was_cut_off_is_an_error_in_plain_words(tmp_path: Path, kept: float) -> None:
    data = zipped(**{"a.csv": b"a,b\n" * 1_000, "b.csv": bytes(range(256)) * 40})
    (tmp_path / "cut.zip").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(VigieError, match=r"cut\.zip is damaged, cut off or locked"):
        contents(tmp_path)


def test_a_zip_with_a_flipped_bit_is_an_error(tmp_path: Path) -> None:
    data = bytearray(zipped(**{"a.csv": b"a,b\n1,2\n" * 500}))
    data[45] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(VigieError, match=r"bad\.zip/a\.csv is damaged"):
        contents(tmp_path)


def test_something_called_zip_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.zip").write_bytes(b"<html>not found</html>")
    with pytest.raises(VigieError, match=r"page\.zip is damaged"):
        contents(tmp_path)


def test_a_cut_gzip_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n" * 5_000)[:-30])
    with pytest.raises(VigieError, match=r"a\.csv.*is damaged"):
        contents(tmp_path)


def test_a_file_is_recognised_by_its_header_and_not_by_its_name(
    toy: UseCase, tmp_path: Path, deliveries: Callable[..., Path]
) -> None:
    deliveries("photo.jpg", [1])
    (document,) = list_documents(tmp_path)
    assert match_header(document, toy.data.tables).table is toy.data.tables[0]


def test_what_is_no_table_is_left_alone_with_a_reason(toy: UseCase, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    (tmp_path / "b.csv").write_bytes(b"some,other,table\n1,2,3\n")
    (tmp_path / "c.csv").write_bytes(b"delivery_id,kind\n1,letter\n")
    reasons = [match_header(document, toy.data.tables).reason for document in list_documents(tmp_path)]
    assert reasons == ["neither text nor a workbook", "unknown header", "like deliveries, but without distance"]


def test_a_csv_file_that_is_no_text_is_an_error_not_passed_by(toy: UseCase, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("delivery_id,distance\n1,2\n".encode("utf-16-le"))
    (document,) = list_documents(tmp_path)
    with pytest.raises(VigieError, match=r"a\.csv cannot be read as text"):
        match_header(document, toy.data.tables)


def test_a_long_accented_first_part_of_a_file_is_not_cut_inside_a_letter(toy: UseCase, tmp_path: Path) -> None:
    data = "delivery_id,distance,é\n".encode() + "x,1,é\n".encode() * 60_000
    (tmp_path / "a.csv").write_bytes(data)
    (document,) = list_documents(tmp_path)
    assert document.head.decode("utf-8").startswith("delivery_id,distance,é\n")
