"""Writes the gateway's own entries into the audit log, in the transaction of what they tell of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy.orm import Session

from services.core.access.audit import AuditEntry, Detail, Outcome
from services.core.access.audit_chain import AuditChain
from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.gateway.counters import Counters

SERVICE = "gateway"
SYSTEM = Caller("service", SERVICE, SERVICE, Role.ADMIN, "", None)
"""The gateway itself, where nobody asked."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from."""

    address: str = ""
    request_id: str = ""


def origin_of(request: Request) -> Origin:
    address = request.client.host if request.client is not None else ""
    return Origin(address, request.scope.get("request_id", ""))


class Trail:
    def __init__(self, chain: AuditChain, counters: Counters) -> None:
        self.chain = chain
        self._counters = counters

    def add(
        self,
        session: Session,
        origin: Origin,
        action: str,
        *,
        by: Caller | None,
        use_case: str = "",
        target: str = "",
        outcome: Outcome = "ok",
        **details: Detail,
    ) -> None:
        """One entry, as the last thing in a transaction: other writers wait until it ends. ``by`` is None
        where nobody is known to have done it."""
        entry = AuditEntry(
            service=SERVICE,
            action=action,
            use_case=use_case,
            target=target[:200],
            address=origin.address,
            request_id=origin.request_id,
            outcome=outcome,
            details=details,
        )
        self.take(session, [entry if by is None else entry.by(by)])

    def take(self, session: Session, entries: Sequence[AuditEntry]) -> int:
        """Entries of this or another service; those that are there already are passed over."""
        session.flush()
        added = self.chain.append(session.connection(), entries)
        for service in {entry.service for entry in entries}:
            self._counters.audit_entries.labels(service).inc(sum(entry.service == service for entry in entries))
        return added
