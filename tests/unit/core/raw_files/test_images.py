"""Image files land as one archive, whatever they came in, and nothing twice."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from services.core.contract.use_case import Table
from services.core.raw_files.images import is_image_of, land_image_archive, list_image_files, read_image_tables

TABLES = (Table("pictures", (), (), ("number",), image_name_pattern=r"picture_(?P<number>\d+)\.(?:jpg|png)"),)


def pack(path: Path, **files: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"deep/er/{name}.jpg", content)


def found(path: Path) -> dict[str, bytes]:
    return {file.columns["number"]: file.read() for file in list_image_files(path, TABLES)}


def test_names_decide_and_folders_do_not_matter() -> None:
    assert is_image_of("a/b/picture_7.JPG", TABLES)
    assert not is_image_of("a/picture_x.jpg", TABLES)
    assert not is_image_of("picture_7.jpg/other.txt", TABLES)


def test_loose_files_archives_and_archives_in_archives_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "picture_1.jpg").write_bytes(b"one")
    pack(tmp_path / "some.zip", picture_2=b"two")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as outer:
        pack(tmp_path / "inner", picture_3=b"three")
        outer.write(tmp_path / "inner", "in/inner.zip")
    (tmp_path / "inner").unlink()
    (tmp_path / ".hidden_picture_4.jpg").write_bytes(b"four")
    assert {
        n: c for file in list_image_files(tmp_path, TABLES) for n, c in [(file.columns["number"], file.read())]
    } == {
        "1": b"one",
        "2": b"two",
        "3": b"three",
    }


def test_what_has_landed_does_not_land_again(tmp_path: Path) -> None:
    landing, source = tmp_path / "landing", tmp_path / "images.zip"
    pack(source, picture_1=b"one", picture_2=b"two")
    first, known = land_image_archive(landing, "folder", list_image_files(source, TABLES))
    assert first is not None
    assert known == 0
    assert land_image_archive(landing, "folder", list_image_files(source, TABLES)) == (None, 2)
    pack(source, picture_1=b"another one", picture_3=b"three", picture_2=b"two")
    second, known = land_image_archive(landing, "folder", list_image_files(source, TABLES))
    assert second is not None
    assert (known, found(second.path)) == (1, {"1": b"another one", "3": b"three"})
    assert sorted(path.name for path in landing.iterdir()) == sorted([first.path.name, second.path.name])


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    pack(tmp_path / "a.zip", picture_1=b"one", picture_2=b"two")
    (tmp_path / "loose").mkdir()
    for name, content in (("picture_1.jpg", b"one"), ("picture_2.jpg", b"two")):
        (tmp_path / "loose" / name).write_bytes(content)
    archives = [
        land_image_archive(tmp_path / f"landing {path.name}", "folder", list_image_files(path, TABLES))[0]
        for path in (tmp_path / "a.zip", tmp_path / "loose")
    ]
    assert archives[0] is not None
    assert archives[1] is not None
    assert archives[0].digest == archives[1].digest


def test_a_damaged_member_is_an_empty_row_and_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    pack(path, picture_1=b"A" * 50, picture_2=b"two")
    path.write_bytes(path.read_bytes().replace(b"A" * 50, b"B" * 50))
    ((table, rows),) = read_image_tables(list_image_files(path, TABLES))
    assert table.name == "pictures"
    assert rows["image"].tolist() == [b"", b"two"]


@pytest.mark.parametrize("name", ["../../picture_1.jpg", "/etc/picture_1.jpg", "..\\picture_1.jpg"])
def test_a_path_in_an_archive_leads_nowhere(tmp_path: Path, name: str) -> None:
    source = tmp_path / "from" / "images.zip"
    source.parent.mkdir()
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr(name, b"one")
    land_image_archive(tmp_path / "landing", "folder", list_image_files(source, TABLES))
    assert {path.name for path in tmp_path.rglob("*.jpg")} == set()
