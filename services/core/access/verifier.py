"""What a service asks who calls: something that turns a credential into a caller."""

from __future__ import annotations

from typing import Protocol

from services.core.access.caller import Caller
from services.core.access.refusals import Refusal
from services.core.access.roles import Role


class Verifier(Protocol):
    def verify(self, credential: str | None) -> Caller | Refusal:
        """Who shows ``credential``, the text of a token or an API key; None where none was shown. Called on
        the event loop for every request: it waits for nothing."""


class OpenAccess:
    """Everybody may do everything: for the demo and for measuring, on this machine alone."""

    CALLER = Caller("service", "open", "everybody on this machine", Role.ADMIN, "local", centres=None)

    def verify(self, credential: str | None) -> Caller | Refusal:  # noqa: ARG002 - the protocol's signature
        return self.CALLER
