"""HTTP headers shared by the platform's services, and the traffic types that callers state in one of them.

``live``       a real call: the only type used for live quality, drift, alerts and real training rows
``exercise``   made in training of staff: answered and listed like any other, and counted nowhere
``simulated``  made by a program: may join simulated data, never real data"""

from __future__ import annotations

from typing import Final, Literal, get_args

API_KEY_HEADER: Final = "X-API-Key"
CALL_KIND_HEADER: Final = "X-Vigie-Call-Kind"
"""Marks a call that is not live; see ``services.core.headers``."""
CSRF_HEADER: Final = "X-Vigie-CSRF"
"""Repeats the CSRF cookie, which another site cannot read."""
NEW_JOB_HEADER: Final = "X-Vigie-New"
"""Whether a stage service created the job or already had it."""
ON_BEHALF_OF_HEADER: Final = "X-Vigie-On-Behalf-Of"
"""The user for whom a service calls another one."""
RECORDED_HEADER: Final = "X-Vigie-Recorded"
"""``no`` with an answer that the prediction log did not take, such as on a full disk; else absent."""
REQUEST_ID_HEADER: Final = "X-Request-Id"
ROLE_HEADER: Final = "X-Vigie-Role"
"""Set by the edge for the page behind it: role of the authenticated user."""
SERVICE_HEADER: Final = "X-Vigie-Service"
"""Name of the calling service; counts only with a token that all services share."""
USER_HEADER: Final = "X-Vigie-User"
"""Set by the edge for the page behind it: name of the authenticated user."""


def raw(name: str) -> bytes:
    """Return the header's name as in ASGI scopes."""
    return name.lower().encode()


TrafficType = Literal["live", "exercise", "simulated"]

LIVE: Final = "live"
EXERCISE: Final = "exercise"
SIMULATED: Final = "simulated"
TRAFFIC_TYPES: Final[tuple[TrafficType, ...]] = get_args(TrafficType)


def label_traffic_type(said: TrafficType, simulated: bool) -> TrafficType:
    """Traffic type of a report: a simulated outcome is never live, whatever its header says."""
    return SIMULATED if simulated and said == LIVE else said
