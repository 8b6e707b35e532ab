"""Three kinds of calls. A caller says by a header which one it is (``CALL_KIND_HEADER``); without it a call is live.

``live``       a real call: the only kind that live quality, drift, alerts and real training rows look at
``exercise``   made by people in training: answered and listed like any other, and counted nowhere
``simulated``  made by a program: may join simulated data, never real data
"""

from __future__ import annotations

from typing import Final, Literal, get_args

CallKind = Literal["live", "exercise", "simulated"]

LIVE: Final = "live"
EXERCISE: Final = "exercise"
SIMULATED: Final = "simulated"
KINDS: Final[tuple[CallKind, ...]] = get_args(CallKind)


def outcome_kind(said: CallKind, simulated: bool) -> CallKind:
    """The kind of a report: one that was made up is never a live one, whatever its header says."""
    return SIMULATED if simulated and said == LIVE else said
