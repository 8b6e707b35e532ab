"""Which rows of the reference to compare a window with: those of the same season and hour count as much as the window
has of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.drift.measures import effective_size

Floats = NDArray[np.float64]
_ENOUGH_OF_STRATUM = 3
_COVERED = 0.8
_ENOUGH = 150.0
MOST_BLOCKS = 12
ENOUGH_OF_BLOCK = 60


def weights(reference: pd.Series, current: pd.Series, zone: str) -> tuple[Floats, bool]:
    """Weights of the reference rows (n,) by which they have the current rows' mix of months and hours, and whether
    the reference knows those months at all. Where it does not, the hours alone are matched; where that does not work
    either, all count alike."""
    for with_month in (True, False):
        ours, theirs = _strata(reference, zone, with_month), _strata(current, zone, with_month)
        found, covered = _weights(ours, theirs)
        if covered >= _COVERED and effective_size(found) >= min(_ENOUGH, len(reference) / 4):
            return found, with_month
    return np.ones(len(reference)), False


def blocks(times: pd.Series, days: float) -> list[NDArray[np.bool_]]:
    """The reference cut into stretches as long as the window: how far those lie from the rest is what unchanged
    months do by themselves."""
    seconds = times.to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    number = np.floor((seconds - seconds.min()) / (days * 86_400)).astype(np.int64)
    found = [number == value for value in np.unique(number)]
    enough = [block for block in found if ENOUGH_OF_BLOCK <= block.sum() <= len(number) / 2]
    step = max(len(enough) // MOST_BLOCKS, 1)
    return enough[::step][:MOST_BLOCKS]


def _strata(times: pd.Series, zone: str, with_month: bool) -> NDArray[np.int64]:
    local = times.dt.tz_convert(zone)
    band = local.dt.hour.to_numpy() // 3
    return np.asarray(local.dt.month.to_numpy() * 8 + band if with_month else band, dtype=np.int64)


def _weights(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> tuple[Floats, float]:
    size = int(max(ours.max(), theirs.max())) + 1
    have, want = np.bincount(ours, minlength=size), np.bincount(theirs, minlength=size)
    known = have >= _ENOUGH_OF_STRATUM
    ratio = np.where(known, want / np.maximum(have, 1), 0.0)
    return ratio[ours], float(want[known].sum() / want.sum())
