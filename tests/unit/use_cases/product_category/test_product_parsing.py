"""The challenge's files become examples."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas as pd
import pytest

from services.core.errors import VigieError
from services.core.raw_files.reader import read_files, read_folder
from services.preprocessing.stage.preprocess import check_schema
from services.use_cases.product_category import raw
from services.use_cases.product_category.declaration import USE_CASE
from tests.image_samples import drawing, jpeg, saved

PRODUCTS = """,designation,description,productid,imageid
0,Sac &agrave; main,<p>Cuir</p>,11,101
1,Hemd,,12,102
2,Book,,13,103
"""
CODES = ",prdtypecode\n0,50\n1,1140\n2,10\n"
NAMES = "prdtypecode,label\n50,Handbags\n1140,Shirts\n10,Books\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "X_train_update.csv").write_text(PRODUCTS)
    (tmp_path / "Y_train_CVw08PX.csv").write_text(CODES)
    (tmp_path / "labels.csv").write_text(NAMES)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as pack:
        pack.writestr("images/image_train/image_101_product_11.jpg", jpeg())
        pack.writestr("images/image_train/image_102_product_12.png", saved(drawing(), "PNG"))
    return tmp_path


def test_titles_codes_names_and_pictures_come_together(folder: Path) -> None:
    tables = read_folder("product_category", folder)
    examples = raw.build_examples(tables)
    assert examples["category"].tolist() == ["50", "1140", "10"]
    assert [image is not None for image in examples["image"]] == [True, True, False]
    assert examples["title_names_class"].tolist() == ["no", "no", "yes"]
    check_schema(USE_CASE, examples, 10)
    told = raw.lookup_tables(tables)
    assert dict(zip(told["codes"], told["names"], strict=True))["50"] == "Handbags"


def test_pictures_may_lie_in_a_folder_and_the_code_beside_the_title(folder: Path) -> None:
    for name in ("images.zip", "Y_train_CVw08PX.csv", "labels.csv"):
        (folder / name).unlink()
    (folder / "X_train_update.csv").write_text(
        "designation,description,productid,imageid,prdtypecode\nSac,,11,101,50\n"
    )
    (folder / "image_train").mkdir()
    (folder / "image_train" / "image_101_product_11.jpg").write_bytes(jpeg())
    examples = raw.build_examples(read_folder("product_category", folder))
    assert examples[["category", "title_names_class"]].values.tolist() == [["50", "unknown"]]
    assert examples["image"][0] == jpeg()


def test_a_picture_that_cannot_be_read_goes_to_quarantine_and_the_rest_is_taken(folder: Path) -> None:
    with zipfile.ZipFile(folder / "images.zip", "a") as pack:
        pack.writestr("images/image_train/image_103_product_13.jpg", b"a text")
    ingested = read_files(USE_CASE, [("all", folder)], max_bad_share=0.5)
    assert len(ingested.tables["images"]) == 2
    (refused,) = [faults for faults in ingested.quarantine if len(faults)]
    assert refused["reason"].tolist() == ["This is no picture in a known format."]
    assert '"imageid": "103"' in refused["row"][0]
    assert raw.build_examples(ingested.tables)["image"].notna().sum() == 2


def test_products_without_any_code_are_refused_in_words(folder: Path) -> None:
    (folder / "Y_train_CVw08PX.csv").unlink()
    with pytest.raises(VigieError, match="No product has a class"):
        raw.build_examples(read_folder("product_category", folder))


def test_a_product_without_class_is_no_example(folder: Path) -> None:
    (folder / "Y_train_CVw08PX.csv").write_text(CODES.replace("2,10\n", ""))
    assert raw.build_examples(read_folder("product_category", folder))["category"].tolist() == ["50", "1140"]


def test_bad_rows_are_told_by_line() -> None:
    frame = pd.DataFrame(
        {
            "": ["0", "x"],
            "designation": ["Sac", "x" * 1_001],
            "description": ["", ""],
            "productid": ["a", "12"],
            "imageid": ["1", "2"],
            "line": [2, 3],
        }
    )
    checked = raw.parse_table("products", frame)
    assert checked.rows.empty
    assert checked.rejected["reason"].tolist() == [
        "productid is not a whole number",
        "title is longer than 1000 characters",
    ]
