"""Reads numbers, identifiers, codes and truth values as people and programs write them.

A column is read as a whole, by its distinct values. What cannot be told for sure is not read: no function guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>", "nat", "-", "."})
"""What stands for nothing in any column, in small letters."""
TRUTH: Mapping[str, bool] = {
    **dict.fromkeys(("1", "true", "yes", "y", "oui", "o", "vrai"), True),
    **dict.fromkeys(("0", "false", "no", "n", "non", "faux"), False),
}
_BLANKS = str.maketrans("", "", " \t\u00a0\u2009\u202f")
_EDGES = " \t\r\n\u00a0\u2009\u202f\ufeff"
_WHOLE = re.compile(r"[+-]?[0-9]+")
_FRACTION = re.compile(r"[+-]?(?:[0-9]+[.,][0-9]*|[.,][0-9]+)(?:[eE]-[0-9]+)?|[+-]?[0-9]+[eE]-[0-9]+")
_THREE_DIGITS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPS = re.compile(r"[+-]?[0-9]{1,3}(?:[ \u00a0\u2009\u202f][0-9]{3})+(?:[.,][0-9]+)?")
_EXPONENT = re.compile(r"([+-]?[0-9])(?:[.,]([0-9]+))?[eE]\+?([0-9]+)")
_NO_FRACTION = re.compile(r"([+-]?)([0-9]+)[.,]0*")
_SURE_SHARE = 0.9


_Scalar = TypeVar("_Scalar", bound=np.generic)


class Words(NamedTuple):
    """A column by its distinct values: row ``i`` holds ``words[places[i]]``, which is "" where a value is missing."""

    places: NDArray[np.int64]
    words: list[str]

    def spread(self, values: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """One value per row from one value per word."""
        spread: NDArray[_Scalar] = values[self.places]
        return spread

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each word."""
        return np.bincount(self.places, minlength=len(self.words))


def read_words(column: pd.Series, missing: Collection[str] = ()) -> Words:
    """The column without blanks at the edges; markers of missing values, and those in ``missing``, are ""."""
    extra = {code(marker) for marker in missing}
    places, words = pd.factorize(column.astype("str"), use_na_sentinel=False)
    clean = [word.strip(_EDGES) if isinstance(word, str) else "" for word in words.tolist()]
    nothing = [word.casefold() in MISSING or (bool(extra) and code(word) in extra) for word in clean]
    return Words(places.astype(np.int64), ["" if empty else word for word, empty in zip(clean, nothing, strict=True)])


class Marks(NamedTuple):
    """Rows whose decimal comma or point is beyond doubt; ``1,234`` could be a thousand and more."""

    comma: int = 0
    point: int = 0

    def __add__(self, other: object) -> Marks:
        if not isinstance(other, Marks):
            return NotImplemented
        return Marks(self.comma + other.comma, self.point + other.point)


def count_marks(column: Words) -> Marks:
    """Count the decimal commas and points of a column of numbers."""
    comma = point = 0
    for word, count in zip(column.words, column.counts.tolist(), strict=True):
        plain = word.translate(_BLANKS) if _GROUPS.fullmatch(word) else word
        if _FRACTION.fullmatch(plain) and (plain != word or not _THREE_DIGITS.fullmatch(word)):
            comma, point = comma + count * ("," in word), point + count * ("." in word)
    return Marks(comma, point)


def read_numbers(
    column: Words, file: Marks, low: float = -np.inf, high: float = np.inf
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The words as float64, and which of them are numbers from ``low`` to ``high`` (k,); the others are NaN.

    ``1,234`` is read where the column's other values, or else those of the ``file``, or the bounds leave one meaning.
    Blanks may stand between thousands; commas and points may not. A number with an exponent that a spreadsheet
    rounded is none.
    """
    own = count_marks(column)
    doubtful = [word for word in column.words if _THREE_DIGITS.fullmatch(word)]
    commas = _decimal(
        doubtful, ",", sure=own.comma, against=own.point, file=(file.comma, file.point), bounds=(low, high)
    )
    points = _decimal(
        doubtful, ".", sure=own.point, against=own.comma, file=(file.point, file.comma), bounds=(low, high)
    )
    values = np.full(len(column.words), np.nan)
    for place, word in enumerate(column.words):
        if not word:
            continue
        if _GROUPS.fullmatch(word):
            word = word.translate(_BLANKS)  # noqa: PLW2901
        elif _THREE_DIGITS.fullmatch(word) and not (commas if "," in word else points):
            continue
        if _WHOLE.fullmatch(word) or _FRACTION.fullmatch(word):
            values[place] = float(word.replace(",", "."))
        elif (exact := _exact_integer(word)) is not None:
            values[place] = float(exact)
    good = (values >= low) & (values <= high)
    return np.where(good, values, np.nan), good


def _decimal(
    words: Sequence[str],
    mark: str,
    *,
    sure: int,
    against: int,
    file: tuple[int, int],
    bounds: tuple[float, float],
) -> bool:
    """Whether the ``mark`` in words such as ``1,234`` is a decimal mark beyond doubt."""
    if sure or against:
        return not against
    if file[0] and not file[1]:
        return True
    if mark == "." and not file[1]:
        return True  # nobody writes points between thousands and nowhere a comma
    texts = [word for word in words if mark in word]
    with_fraction = [bounds[0] <= float(word.replace(",", ".")) <= bounds[1] for word in texts]
    as_thousands = [bounds[0] <= float(word.replace(mark, "")) <= bounds[1] for word in texts]
    return bool(texts and np.mean(with_fraction) >= _SURE_SHARE and np.mean(as_thousands) <= 1 - _SURE_SHARE)


def _exact_integer(word: str) -> str | None:
    """The integer that a number with an exponent shows in full (``2.019E+3``); None where digits are lost."""
    found = _EXPONENT.fullmatch(word)
    if found is None:
        return None
    digits, power = found[2] or "", int(found[3])
    return f"{found[1]}{digits}" if power == len(digits) else None


def is_rounded(word: str) -> bool:
    """Whether a spreadsheet rounded a long number: ``2,019E+11``."""
    return _EXPONENT.fullmatch(word.translate(_BLANKS)) is not None and identifier(word) == ""


def identifier(word: str) -> str:
    """An identifier without blanks inside and without the fraction that a program appended (``123.0``).

    Empty where a spreadsheet has rounded it.
    """
    plain = word.translate(_BLANKS)
    if _EXPONENT.fullmatch(plain):
        return _exact_integer(plain) or ""
    fraction = _NO_FRACTION.fullmatch(plain)
    return plain if fraction is None else fraction[1] + fraction[2]


def code(word: str) -> str:
    """A code in one spelling: ``2``, ``02``, ``2.0`` and ``2,0`` are one code, small and capital letters too."""
    plain = identifier(word) if word[:1].isdigit() or word[:1] in "+-" else word
    return str(int(plain)) if _WHOLE.fullmatch(plain) else " ".join(word.casefold().split())


def read_each(column: Words, read: Callable[[str], str]) -> NDArray[np.object_]:
    """The words (k,), each read by ``read``; "" stays ""."""
    return np.array([read(word) if word else "" for word in column.words], dtype=object)
