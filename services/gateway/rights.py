"""What an administrator may touch: their centres, and nobody with more rights than themselves."""

from __future__ import annotations

from collections.abc import Collection

from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.web.faults import refused


def require_all_centres(caller: Caller) -> None:
    """
    Raises:
        RefusedError: 403, the caller is for some centres only.
    """
    if caller.centres is not None:
        raise refused(403, "centre", "This concerns all centres, and you are for some.", allowed="centres *")


def require_centres(caller: Caller, centres: Collection[str]) -> None:
    """
    Raises:
        RefusedError: 403, one of ``centres`` is not the caller's.
    """
    if not all(caller.sees(centre) for centre in centres):
        raise refused(403, "centre", "This concerns a centre that is not yours.", allowed=visible(caller))


def require_no_more_than_own(caller: Caller, role: Role, centres: Collection[str], all_centres: bool) -> None:
    """Nobody gives, or changes somebody who has, more than they have themselves.

    Raises:
        RefusedError: 403.
    """
    if all_centres:
        require_all_centres(caller)
    require_centres(caller, centres)
    if not caller.role.covers(role):
        raise refused(403, "role", f"This needs the role {role}; yours is {caller.role}.", allowed=f"role {role}")


def require_use_case(caller: Caller, use_case: str) -> None:
    """
    Raises:
        RefusedError: 403, the caller's key is for other use cases.
    """
    if not caller.may_call(use_case):
        own = ", ".join(sorted(caller.use_cases or ()))
        raise refused(403, "use_case", "Your key is for other use cases.", allowed=own)


def seen_centres(caller: Caller) -> frozenset[str] | None:
    """The centres whose things the caller sees; None for all."""
    return None if caller.centres is None else caller.centres | {caller.centre}


def visible(caller: Caller) -> str:
    seen = seen_centres(caller)
    return "any centre" if seen is None else ", ".join(sorted(seen))
