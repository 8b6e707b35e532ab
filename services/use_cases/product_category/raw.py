"""Parses the challenge's files and builds an example of each product that has a class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from services.core.contract.image_decoding import ImageError, decode_image
from services.core.contract.use_case import Arrays, ParsedTable
from services.core.errors import VigieError
from services.core.raw_files.columns import TypedRows, read_columns
from services.use_cases.product_category import layouts
from services.use_cases.product_category.request import IMAGE
from services.use_cases.product_category.tokenizer import detect_language, strip_html, tokenize

_LONGEST = {"title": 1_000, "description": 20_000}
_PLACE = "place "
"""Begins the row of a file that numbers none: such rows belong together only where both files number none."""


def parse_table(table: str, frame: pd.DataFrame) -> ParsedTable:
    """Parse ``products``, ``codes``, ``names`` or ``images``: strings and the bytes of files."""
    return {"products": _products, "codes": _codes, "names": _names, "images": _images}[table](frame)


def build_examples(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Build one example per product that has a class and a title, description or image.

    ``title_names_class`` shows whether the title holds a word of the class's own name (``unknown`` where the catalogue
    gives no names).

    Raises:
        VigieError: no product has a class.
    """
    products = tables["products"]
    if "codes" in tables:
        codes = tables["codes"].set_index("row")["code"]
        products = products.assign(code=products["code"].where(products["code"] != "", products["row"].map(codes)))
    products = products[products["code"].fillna("") != ""].reset_index(drop=True)
    if products.empty:
        raise VigieError(
            "No product has a class: no file says its prdtypecode.",
            expected="a file of row and prdtypecode (Y_train), or the column prdtypecode beside the titles",
            action="Put the file of the codes beside that of the products.",
        )
    made = pd.DataFrame(
        {
            "title": products["title"],
            "description": products["description"],
            "image": _files_of(products, tables.get("images")),
            "category": products["code"].astype("str"),
            "product": products["productid"],
        }
    )
    class_names = _class_names(tables)
    said = [tokenize(strip_html(title)) for title in made["title"]]
    made["language"] = [detect_language(title) for title in said]
    made["title_names_class"] = [
        _names_class(title, class_names.get(code)) for title, code in zip(said, made["category"], strict=True)
    ]
    something = [
        bool(title) or image is not None or bool(tokenize(strip_html(text)))
        for title, image, text in zip(said, made["image"], made["description"], strict=True)
    ]
    return made[something].sort_values("product", kind="stable", ignore_index=True)


def build_label_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Add to reported calls the columns that follow from the title; their images are not stored."""
    said = [tokenize(strip_html(title)) for title in rows["title"]]
    return rows.assign(
        image=pd.Series([None] * len(rows), dtype=object, index=rows.index),
        language=[detect_language(title) for title in said],
        title_names_class="unknown",
    )


def lookup_tables(tables: Mapping[str, pd.DataFrame]) -> Arrays:
    """Build the lookup table of class names: ``codes`` and ``names`` (n,), str."""
    class_names = _class_names(tables)
    return {"codes": np.array(list(class_names), dtype=str), "names": np.array(list(class_names.values()), dtype=str)}


def _products(frame: pd.DataFrame) -> ParsedTable:
    typed = read_columns(layouts.PRODUCTS, frame)
    for name, longest in _LONGEST.items():
        too_long = typed.rows[name].str.len() > longest
        typed.refuse(too_long, f"{name} is longer than {longest} characters")
    return _with_row(typed, frame)


def _codes(frame: pd.DataFrame) -> ParsedTable:
    return _with_row(read_columns(layouts.CODES, frame), frame)


def _names(frame: pd.DataFrame) -> ParsedTable:
    typed = read_columns(layouts.NAMES, frame)
    return typed.parsed(typed.rows)


def _images(frame: pd.DataFrame) -> ParsedTable:
    reason = pd.Series([_fault(file) for file in frame["image"]], index=frame.index, dtype=object)
    rows = read_columns(layouts.IMAGES, frame).rows.assign(image=frame["image"])
    return ParsedTable.split(rows, reason)


def _fault(file: bytes) -> str:
    try:
        decode_image(file, IMAGE)
    except ImageError as error:
        return error.problem
    return ""


def _with_row(typed: TypedRows, frame: pd.DataFrame) -> ParsedTable:
    """With the number that a product has in both files; in a file without one, its place, which is no number."""
    if not any(name in frame for name in layouts.ROW.sources):
        typed.rows["row"] = _PLACE + pd.Series(range(1, len(frame) + 1), index=frame.index).astype("str")
    typed.refuse(typed.rows["row"] == "", "the row has no number")
    return typed.parsed(typed.rows)


def _files_of(products: pd.DataFrame, images: pd.DataFrame | None) -> pd.Series:
    if images is None:
        return pd.Series([None] * len(products), dtype=object)
    keys = zip(images["imageid"], images["productid"], strict=True)
    files = dict(zip(keys, images["image"], strict=True))
    found = [files.get(key) for key in zip(products["imageid"], products["productid"], strict=True)]
    return pd.Series(found, dtype=object)


def _class_names(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    names = tables.get("names")
    return {} if names is None else dict(zip(names["code"], names["name"], strict=True))


def _names_class(title: list[str], name: str | None) -> str:
    """Whether a word of the title begins like one of the class's name, its ending apart: ``shirt`` for ``Shirts``."""
    if name is None:
        return "unknown"
    stems = tuple(stem for word in tokenize(strip_html(name)) if len(stem := word.rstrip("s")) >= 2)
    return "yes" if any(word.startswith(stems) for word in title) else "no"
