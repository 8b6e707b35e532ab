"""The header by which a caller says that a call is an exercise's or a simulator's."""

from __future__ import annotations

from typing import Any

from starlette.types import Scope

from services.core.calls.kinds import KINDS, LIVE, CallKind
from services.core.headers import CALL_KIND_HEADER, raw
from services.prediction.faults import refused

_NAME = raw(CALL_KIND_HEADER)
_KINDS: dict[bytes, CallKind] = {kind.encode(): kind for kind in KINDS}

MANUAL: dict[str, Any] = {
    "parameters": [
        {
            "name": CALL_KIND_HEADER,
            "in": "header",
            "required": False,
            "description": "An exercise's calls count nowhere; a simulator's never join real data.",
            "schema": {"type": "string", "enum": list(KINDS), "default": LIVE},
        }
    ]
}
"""The header's entry in the OpenAPI page."""


def kind_of(scope: Scope) -> CallKind:
    """
    Raises:
        RefusedError: 422, the header says something else. A call whose kind is not clear must not count as live.
    """
    said: list[bytes] = [value for name, value in scope["headers"] if name == _NAME]
    if not said:
        return LIVE
    kind = _KINDS.get(said[0]) if len(said) == 1 else None
    if kind is None:
        allowed = "one of " + ", ".join(KINDS) + ", once, or no such header"
        raise refused(422, "call_kind", "There is no such kind of call.", field=CALL_KIND_HEADER, allowed=allowed)
    return kind
