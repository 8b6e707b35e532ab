"""What past accidents at the same place and of the same kind say, as smoothed shares.

Every level of a ``Ladder`` groups accidents by a key and leans on the level below it: where a key is rare or
new, the share of its parent counts (m-estimate, Micci-Barreca 2001). A row's value therefore never misses.
Shares are learned on other rows than those that they encode (training fits them on folds).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.usecases.contract import Arrays

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Level:
    """``parent`` is the level whose share a rare key leans on; ``strength`` is how many accidents that
    share is worth."""

    name: str
    parent: str | None
    strength: float


class Shares(NamedTuple):
    """Level -> key -> value."""

    share: Mapping[str, Mapping[str, float]]
    weight: Mapping[str, Mapping[str, float]]
    """Accidents behind a share per 10,000 of all, so that it does not depend on how many there are."""


def learn(levels: Sequence[Level], keys: Mapping[str, list[str]], hits: NDArray[np.float64]) -> Arrays:
    """Shares of ``hits`` (0 or 1, NaN rows are left out) per key, as arrays that can be stored.

    The empty key means unknown and is not learned."""
    known = ~np.isnan(hits)
    total = int(known.sum())
    base = float(hits[known].mean()) if total else 0.0
    arrays: Arrays = {"base": np.array(base)}
    of_rows: dict[str, NDArray[np.float64]] = {}
    for level in levels:
        found: dict[str, int] = {}
        index = np.array([found.setdefault(key, len(found)) for key in keys[level.name]], dtype=np.int64)
        count = np.bincount(index[known], minlength=len(found)).astype(np.float64)
        lean = np.full(len(index), base) if level.parent is None else of_rows[level.parent]
        prior = np.bincount(index[known], weights=lean[known], minlength=len(found))
        hit = np.bincount(index[known], weights=hits[known], minlength=len(found))
        share = (hit + level.strength * prior / np.maximum(count, 1.0)) / (count + level.strength)
        if "" in found:
            count[found[""]] = 0.0
        kept = np.nonzero(count > 0)[0]
        of_rows[level.name] = np.where(count[index] > 0, share[index], lean)
        names = list(found)
        arrays[f"{level.name}:keys"] = packed([names[place] for place in kept.tolist()])
        arrays[f"{level.name}:shares"] = share[kept]
        arrays[f"{level.name}:weights"] = count[kept] * (10_000.0 / max(total, 1))
    return arrays


def load(levels: Sequence[Level], arrays: Mapping[str, NDArray[Any]]) -> tuple[Shares, float]:
    """The shares by level and key, and the share of all."""
    share, weight = {}, {}
    for level in levels:
        names = unpacked(arrays[f"{level.name}:keys"])
        share[level.name] = dict(zip(names, arrays[f"{level.name}:shares"].tolist(), strict=True))
        weight[level.name] = dict(zip(names, arrays[f"{level.name}:weights"].tolist(), strict=True))
    return Shares(share, weight), float(arrays["base"])


def look(
    levels: Sequence[Level], weighed: Sequence[str], keys: Mapping[str, list[str]], learned: Shares, base: float
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Shares of every row by level, and the weights behind the levels that are ``weighed``: 0 for a key that
    was never seen, NaN for the empty key."""
    shares: dict[str, list[float]] = {}
    for level in levels:
        known = learned.share[level.name]
        leans = shares[level.parent] if level.parent is not None else itertools.repeat(base)
        shares[level.name] = [known.get(key, lean) for key, lean in zip(keys[level.name], leans, strict=False)]
    weights = {}
    for name in weighed:
        count = learned.weight[name].get
        weights[name] = [count(key, 0.0) if key else _NAN for key in keys[name]]
    return shares, weights


def packed(names: Sequence[str]) -> NDArray[np.uint8]:
    """Texts without line breaks in one array of bytes: many times smaller than NumPy's strings of equal width."""
    return np.frombuffer("\n".join(names).encode(), dtype=np.uint8)


def unpacked(array: NDArray[np.uint8]) -> list[str]:
    text = array.tobytes().decode()
    return text.split("\n") if text else []
