"""Feature function of ``product_category``: TF-IDF of words and character n-grams, and image descriptors.

One row at a time, so that a row alone and among others is equal bit for bit. ``fit`` learns vocabularies and document
frequencies. It uses no label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.contract.sparse import SparseRows
from services.core.contract.use_case import Arrays, Columns, Features
from services.use_cases.product_category import image_statistics
from services.use_cases.product_category.tokenizer import (
    bigrams,
    character_ngrams,
    detect_language,
    strip_html,
    tokenize,
    word_endings,
)

FEATURE_NAMES: Mapping[str, tuple[str, ...]] = {
    "text": ("title words", "title pieces", "description words"),
    "image": ("gradients", "gradients of the crop", "colours", "patterns", "shape"),
}
FEATURE_INPUTS: Mapping[str, tuple[str, ...]] = {
    "title words": ("title",),
    "title pieces": ("title",),
    "description words": ("description",),
    **dict.fromkeys(FEATURE_NAMES["image"], ("image",)),
}

_MOST_TERMS = {"title": 120_000, "description": 60_000}
"""Terms of each vocabulary; beyond them the rarest are dropped."""
_MANY_ROWS = 20_000
"""From here on a term has to occur in two products."""
_SEPARATOR = "\n"


@dataclass(frozen=True, slots=True)
class FittedTables:
    """Vocabularies: terms of each field -> their column and their weight (inverse document frequency)."""

    terms: Mapping[str, Mapping[str, int]]
    weights: Mapping[str, list[float]]
    known: frozenset[str]
    """Single words of the training rows' titles and descriptions."""
    width: int
    names: Mapping[str, str]
    pictures: bool = True
    """Whether any training row had a picture; if not, no answer rests on one."""


def fit(
    columns: Columns,
    labels: Mapping[str, NDArray[np.float64]],
    reference: Mapping[str, NDArray[Any]],
    context: Mapping[str, Any],
) -> Arrays:
    """Learn vocabularies by document frequency from n training rows.

    Args:
        columns: ``title`` and ``description`` (n,), str; ``image`` (n,), arrays or None.
        labels: not used.
        reference: ``codes`` and ``names`` (k,), str: the catalogue's names of its classes.
        context: not used.

    Returns:
        For each field its packed terms, uint8, and their weights (k,), float64, without unit; ``codes`` and ``names``.
        Without any picture also ``pictures`` (bool), false.

    Source: K. Spärck Jones, A statistical interpretation of term specificity, J. Doc. 28 (1972) 11-21.
    """
    arrays: Arrays = {"codes": reference.get("codes", np.array([], dtype=str))}
    arrays["names"] = reference.get("names", np.array([], dtype=str))
    for field, terms_of in _TERMS.items():
        frequency: Counter[str] = Counter()
        count = 0
        for text in columns[field]:
            if text:
                frequency.update(set(terms_of(tokenize(strip_html(text)))))
                count += 1
        fewest = 2 if count >= _MANY_ROWS else 1
        kept = sorted((term for term, found in frequency.items() if found >= fewest), key=lambda t: (-frequency[t], t))
        kept = sorted(kept[: _MOST_TERMS[field]])
        arrays[f"{field}_terms"] = _pack_terms(kept)
        arrays[f"{field}_weights"] = np.array([log((1 + count) / (1 + frequency[term])) + 1 for term in kept])
    if all(image is None for image in columns["image"]):
        arrays["pictures"] = np.array(False)
    return arrays


def prepare(arrays: Mapping[str, NDArray[Any]]) -> FittedTables:
    """Load the vocabularies from the arrays (k,) that ``fit`` returned: uint8 terms, float64 weights, names (str)."""
    terms: dict[str, dict[str, int]] = {}
    weights: dict[str, list[float]] = {}
    known: set[str] = set()
    width = 0
    for field in _TERMS:
        found = _unpack_terms(arrays[f"{field}_terms"])
        terms[field] = {term: width + place for place, term in enumerate(found)}
        weights[field] = arrays[f"{field}_weights"].tolist()
        known.update(term for term in found if " " not in term and term[0] not in "_^$")
        width += len(found)
    names = dict(zip(arrays["codes"].tolist(), arrays["names"].tolist(), strict=True))
    return FittedTables(terms, weights, frozenset(known), width, names, bool(arrays.get("pictures", True)))


def features(columns: Columns, fitted: FittedTables, context: Mapping[str, Any]) -> Features:
    """Compute the matrices ``text`` and ``image`` of n products.

    Args:
        columns: ``title`` and ``description`` (n,), str; ``image`` (n,), arrays (side, side, 3), uint8, or None.
        fitted: vocabularies.
        context: not used.

    Returns:
        ``text``, sparse rows (n, p) of unit length for each field, and ``image`` (n, p), float32, without unit. Facts
        (n,): ``has_title``, ``has_description``, ``has_image``, ``has_text`` (bool) and ``names``.
    """
    count = len(columns["title"])
    has = {"title": np.zeros(count, bool), "description": np.zeros(count, bool), "image": np.zeros(count, bool)}
    rows: list[tuple[list[int], list[float]]] = []
    image = np.zeros((count, image_statistics.DESCRIPTOR_WIDTH), dtype=np.float32)
    for row in range(count):
        places: list[int] = []
        values: list[float] = []
        for field, terms_of in _TERMS.items():
            text = columns[field][row]
            found = tokenize(strip_html(text)) if text else []
            has[field][row] = bool(found)
            _tf_idf(terms_of(found), fitted.terms[field], fitted.weights[field], places, values)
        rows.append((places, values))
        pixels = columns["image"][row]
        if pixels is not None and fitted.pictures:
            has["image"][row] = True
            image[row] = image_statistics.image_descriptors(pixels)
    names = np.empty(count, dtype=object)
    names[:] = [fitted.names] * count
    facts = {f"has_{field}": present for field, present in has.items()}
    facts |= {"has_text": has["title"] | has["description"], "names": names}
    return Features({"text": SparseRows.of(rows, fitted.width), "image": image}, facts)


def drift_features(columns: Columns, fitted: FittedTables | None) -> Mapping[str, NDArray[Any]]:
    """Derive the columns that drift monitoring compares, see ``UseCase.drift_features``.

    Args:
        columns: as for ``features``.
        fitted: vocabularies, for the share of unseen words; None where there is no model.

    Returns:
        Column -> (n,): lengths (characters), shares and image statistics as float64, NaN where missing; ``language`` as
        str.
    """
    count = len(columns["title"])
    found: dict[str, NDArray[Any]] = {
        name: np.full(count, np.nan)
        for name in ("title_length", "description_length", "unseen_words", *image_statistics.STATISTIC_NAMES)
    }
    found["language"] = np.full(count, "", dtype=object)
    for row in range(count):
        said: list[str] = []
        for field in _TERMS:
            text = strip_html(columns[field][row]) if columns[field][row] else ""
            if text:
                found[f"{field}_length"][row] = len(text)
                said += tokenize(text)
        if said:
            found["language"][row] = detect_language(said)
            if fitted is not None:
                found["unseen_words"][row] = sum(word not in fitted.known for word in said) / len(said)
        pixels = columns["image"][row]
        if pixels is not None:
            for name, value in zip(
                image_statistics.STATISTIC_NAMES, image_statistics.image_statistics(pixels), strict=True
            ):
                found[name][row] = value
    return found


def _title_terms(found: list[str]) -> list[str]:
    return [*found, *bigrams(found), *character_ngrams(found), *word_endings(found)]


def _description_terms(found: list[str]) -> list[str]:
    return [*found, *bigrams(found)]


_TERMS = {"title": _title_terms, "description": _description_terms}


def _tf_idf(
    terms: Iterable[str],
    known: Mapping[str, int],
    weights: list[float],
    places: list[int],
    values: list[float],
) -> None:
    """Add a field's known terms: logarithm of the count times the term's weight, of length 1 together."""
    counts: dict[int, int] = {}
    for term in terms:
        place = known.get(term)
        if place is not None:
            counts[place] = counts.get(place, 0) + 1
    if not counts:
        return
    first = known[next(iter(known))]
    weighed = [(1 + log(count)) * weights[place - first] for place, count in counts.items()]
    length = sqrt(sum(value * value for value in weighed))
    places += counts
    values += [value / length for value in weighed]


def _pack_terms(terms: list[str]) -> NDArray[np.uint8]:
    """Terms as bytes: NumPy's own strings would make each as long as the longest."""
    return np.frombuffer(_SEPARATOR.join(terms).encode(), dtype=np.uint8)


def _unpack_terms(packed: NDArray[np.uint8]) -> list[str]:
    text = packed.tobytes().decode()
    return text.split(_SEPARATOR) if text else []
