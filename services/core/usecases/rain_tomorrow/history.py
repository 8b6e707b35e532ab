"""Past days of all stations: the context of this use case, looked up by station and day.

The same arrays serve training, where they are the whole table, and calls, where they are what ingestion stored
last. Nothing known leaves everything missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.usecases.contract import Arrays
from services.core.usecases.rain_tomorrow.observations import QUANTITIES
from services.core.usecases.rain_tomorrow.stations import NAMES

DAYS_BACK = 6
"""Days before today that features look at."""
SECONDS_A_DAY = 86_400.0

Floats = NDArray[np.float64]


class History(NamedTuple):
    first_day: int
    """Days since 1970-01-01 of the first day."""
    observations: NDArray[np.float32]
    """(quantities, days, stations), in the order of ``QUANTITIES`` and ``stations.NAMES``; missing is NaN."""


NONE = History(0, np.full((len(QUANTITIES), 1, len(NAMES)), np.nan, dtype=np.float32))


def of_context(context: Mapping[str, Any]) -> History:
    """The history in a context; one without any observation where the context has none."""
    if "observations" not in context:
        return NONE
    return History(int(context["first_day"]), np.asarray(context["observations"]))


def as_context(history: History) -> Arrays:
    return {"first_day": np.array(history.first_day), "observations": history.observations}


def latest(arrays: Mapping[str, NDArray[Any]], days: int) -> Arrays:
    """The last ``days`` days of a stored context: what calls need of years of history."""
    whole = of_context(arrays)
    start = max(0, whole.observations.shape[1] - days)
    return as_context(History(whole.first_day + start, np.ascontiguousarray(whole.observations[:, start:])))


def at(history: History, days: NDArray[np.int64]) -> Floats:
    """All stations' observations of each of ``days`` (n,): (n, quantities, stations)."""
    place, known = _places(history, days)
    found = history.observations[:, place].transpose(1, 0, 2).astype(np.float64)
    found[~known] = np.nan
    return found


def before(history: History, days: NDArray[np.int64], stations: NDArray[np.int64]) -> Floats:
    """Each row's own station on the ``DAYS_BACK`` days before, yesterday first: (n, quantities, days)."""
    found = np.empty((len(days), len(QUANTITIES), DAYS_BACK))
    for back in range(1, DAYS_BACK + 1):
        place, known = _places(history, days - back)
        found[:, :, back - 1] = np.where(known, history.observations[:, place, stations], np.nan).T
    return found


def _places(history: History, days: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    place = days - history.first_day
    known = (place >= 0) & (place < history.observations.shape[1])
    return np.where(known, place, 0), known
