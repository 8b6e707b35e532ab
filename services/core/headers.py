"""The HTTP headers that the platform's parts agree on."""

from __future__ import annotations

from typing import Final

API_KEY_HEADER: Final = "X-API-Key"
CALL_KIND_HEADER: Final = "X-Vigie-Call-Kind"
"""A caller's word for a call that is not live; see ``services.core.prediction_log.traffic_type``."""
CSRF_HEADER: Final = "X-Vigie-CSRF"
"""Repeats the readable cookie, which another site cannot."""
NEW_JOB_HEADER: Final = "X-Vigie-New"
"""Whether a stage service made the job now or had it already."""
ON_BEHALF_OF_HEADER: Final = "X-Vigie-On-Behalf-Of"
"""The person for whom a service calls another one."""
REQUEST_ID_HEADER: Final = "X-Request-Id"
ROLE_HEADER: Final = "X-Vigie-Role"
"""The edge's word to the page behind it: the role of who signed in."""
SERVICE_HEADER: Final = "X-Vigie-Service"
"""Which service calls another one."""
USER_HEADER: Final = "X-Vigie-User"
"""The edge's word to the page behind it: the name of who signed in."""


def raw(name: str) -> bytes:
    """The header's name as ASGI gives it."""
    return name.lower().encode()


def service_headers(token: str, service: str, on_behalf_of: str = "") -> dict[str, str]:
    """What a service shows another one: the credential, its own name and that of the person it calls for."""
    headers = {"Authorization": f"Bearer {token}", SERVICE_HEADER: service}
    return headers | ({ON_BEHALF_OF_HEADER: on_behalf_of} if on_behalf_of else {})
