"""Shared dependencies of the routes: required roles, permission checks and safe redirect targets."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

from services.core.auth.principal import Principal, Role
from services.core.web.authentication import requires
from services.core.web.errors import http_error
from services.gateway.settings import GatewaySettings


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, tzinfo=UTC)


def _in_range(moment: datetime) -> datetime:
    """Refuse moments that a database or a change of zone cannot hold."""
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError(f"the moment has to lie between {_EARLIEST:%Y-%m-%d} and {_LATEST:%Y-%m-%d}")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]
"""A moment with a zone between 1970 and 2199."""
MAX_BIGINT = 2**63 - 1
"""The largest number that the database's counters hold."""
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
PrintableName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
    ),
]
"""A name for people, without control characters: it is shown, logged and sent in headers."""

Viewer = Annotated[Principal, Depends(requires(Role.VIEWER))]
Anybody = Annotated[Principal, Depends(requires(Role.VIEWER, pending=True))]
"""Also users with a first password or without the second factor that they need: for their own account."""
Operator = Annotated[Principal, Depends(requires(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(requires(Role.ADMIN))]


def require_all_centres(caller: Principal) -> None:
    """Require access to all centres.

    Raises:
        HttpError: 403, the caller is restricted to some centres.
    """
    if caller.centres is not None:
        raise http_error(403, "centre", "This concerns all centres, and you are for some.", allowed="centres *")


def require_centres(caller: Principal, centres: Collection[str]) -> None:
    """Require access to ``centres``.

    Raises:
        HttpError: 403, one of ``centres`` is not the caller's.
    """
    if not all(caller.can_see_centre(centre) for centre in centres):
        raise http_error(
            403, "centre", "This concerns a centre that is not yours.", allowed=describe_visible_centres(caller)
        )


def require_not_above_own(caller: Principal, role: Role, centres: Collection[str], all_centres: bool) -> None:
    """Require that the caller has the rights that it grants or that the changed account has.

    Raises:
        HttpError: 403, role or centres exceed the caller's.
    """
    if all_centres:
        require_all_centres(caller)
    require_centres(caller, centres)
    if not caller.role.covers(role):
        raise http_error(403, "role", f"This needs the role {role}; yours is {caller.role}.", allowed=f"role {role}")


def require_use_case(caller: Principal, use_case: str) -> None:
    """Require access to a use case.

    Raises:
        HttpError: 403, the caller's key is restricted to other use cases.
    """
    if not caller.can_call(use_case):
        own = ", ".join(sorted(caller.use_cases or ()))
        raise http_error(403, "use_case", "Your key is for other use cases.", allowed=own)


def visible_centres(caller: Principal) -> frozenset[str] | None:
    """Return the centres that the caller can see; None for all."""
    return None if caller.centres is None else caller.centres | {caller.centre}


def describe_visible_centres(caller: Principal) -> str:
    seen = visible_centres(caller)
    return "any centre" if seen is None else ", ".join(sorted(seen))


_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def safe_redirect_path(text: str) -> str:
    """Return ``text`` if it is a path of this site, else ``/`` (no open redirects)."""
    parts = urlsplit(text)
    harmless = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if harmless and not parts.scheme and not parts.netloc else "/"


def page_url(request: Request, settings: GatewaySettings, path: str) -> str:
    """Return the dashboard's URL for ``path``, which ``safe_redirect_path`` has checked.

    That is a path below the edge, or the dashboard's own port. On loopback the host name of the request is used, since
    cookies belong to it."""
    if settings.dashboard_url is None:
        return path
    base = urlsplit(settings.dashboard_url)
    host, asked = base.netloc.rpartition(":")[0], request.headers.get("host", "").rpartition(":")[0]
    if host in _LOOPBACK and asked in _LOOPBACK:
        base = base._replace(netloc=f"{asked}:{base.port}")
    return f"{base.scheme}://{base.netloc}{path}"
