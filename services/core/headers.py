"""Names of the HTTP headers shared by the platform's services."""

from __future__ import annotations

from typing import Final

API_KEY_HEADER: Final = "X-API-Key"
CALL_KIND_HEADER: Final = "X-Vigie-Call-Kind"
"""Marks a call that is not live; see ``services.core.prediction_log.traffic_type``."""
CSRF_HEADER: Final = "X-Vigie-CSRF"
"""Repeats the CSRF cookie, which another site cannot read."""
NEW_JOB_HEADER: Final = "X-Vigie-New"
"""Whether a stage service created the job or already had it."""
ON_BEHALF_OF_HEADER: Final = "X-Vigie-On-Behalf-Of"
"""The user for whom a service calls another one."""
REQUEST_ID_HEADER: Final = "X-Request-Id"
ROLE_HEADER: Final = "X-Vigie-Role"
"""Set by the edge for the page behind it: role of the authenticated user."""
SERVICE_HEADER: Final = "X-Vigie-Service"
"""Name of the calling service."""
USER_HEADER: Final = "X-Vigie-User"
"""Set by the edge for the page behind it: name of the authenticated user."""


def raw(name: str) -> bytes:
    """Return the header's name as in ASGI scopes."""
    return name.lower().encode()


def service_headers(token: str, service: str, on_behalf_of: str = "") -> dict[str, str]:
    """Return the headers of a call between services: credential, own name and the user it acts for."""
    headers = {"Authorization": f"Bearer {token}", SERVICE_HEADER: service}
    return headers | ({ON_BEHALF_OF_HEADER: on_behalf_of} if on_behalf_of else {})
