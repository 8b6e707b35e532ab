"""Traffic type of a call, stated by the caller in a header; default is live.

``live``       a real call: the only type used for live quality, drift, alerts and real training rows
``exercise``   made in training of staff: answered and listed like any other, and counted nowhere
``simulated``  made by a program: may join simulated data, never real data"""

from __future__ import annotations

from typing import Final, Literal, get_args

TrafficType = Literal["live", "exercise", "simulated"]

LIVE: Final = "live"
EXERCISE: Final = "exercise"
SIMULATED: Final = "simulated"
TRAFFIC_TYPES: Final[tuple[TrafficType, ...]] = get_args(TrafficType)


def label_traffic_type(said: TrafficType, simulated: bool) -> TrafficType:
    """Traffic type of a report: a simulated outcome is never live, whatever its header says."""
    return SIMULATED if simulated and said == LIVE else said
