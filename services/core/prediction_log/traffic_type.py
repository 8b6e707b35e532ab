"""Traffic type of a call, which the caller states in a header; without the header a call is live.

``live``       a real call: the only type that live quality, drift, alerts and real training rows use
``exercise``   made by people in training: answered and listed like any other, and counted nowhere
``simulated``  made by a program: may join simulated data, never real data"""

from __future__ import annotations

from typing import Final, Literal, get_args

TrafficType = Literal["live", "exercise", "simulated"]

LIVE: Final = "live"
EXERCISE: Final = "exercise"
SIMULATED: Final = "simulated"
TRAFFIC_TYPES: Final[tuple[TrafficType, ...]] = get_args(TrafficType)


def label_traffic_type(said: TrafficType, simulated: bool) -> TrafficType:
    """The kind of a report: one that was made up is never a live one, whatever its header says."""
    return SIMULATED if simulated and said == LIVE else said
