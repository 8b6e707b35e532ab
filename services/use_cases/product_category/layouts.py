"""Columns of the challenge's files and how their values are read."""

from __future__ import annotations

from services.core.contract.tables import Column

_NUMBER = "[0-9]{1,18}"

ROW = Column("row", "|Unnamed: 0|row", "identifier", optional=True, pattern=_NUMBER, expected="a number of a row")
"""What ties products and codes together: most often a column without a name, sometimes none at all."""


def _number(name: str, source: str = "", *, needed: bool = False, optional: bool = False) -> Column:
    return Column(
        name, source, "identifier", needed=needed, optional=optional, pattern=_NUMBER, expected="a whole number"
    )


PRODUCTS = (
    ROW,
    Column("title", "designation"),
    Column("description"),
    _number("productid", needed=True),
    _number("imageid"),
    _number("code", "prdtypecode", optional=True),
)
CODES = (ROW, _number("code", "prdtypecode", needed=True))
NAMES = (_number("code", "prdtypecode", needed=True), Column("name", "label", needed=True))
IMAGES = (_number("imageid"), _number("productid"))
