"""Writes the gateway's audit entries in the transaction of the change that they describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy.orm import Session

from services.core.audit.entries import AuditEntry, AuditOutcome, DetailValue
from services.core.audit.log import AuditChain
from services.core.auth.principal import Principal, Role
from services.gateway.metrics import GatewayMetrics

SERVICE_NAME = "gateway"
SYSTEM_PRINCIPAL = Principal("service", SERVICE_NAME, SERVICE_NAME, Role.ADMIN, "", None)
"""Actor of changes that the gateway makes itself."""


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Client address and id of a request."""

    address: str = ""
    request_id: str = ""


def request_origin_of(request: Request) -> RequestOrigin:
    address = request.client.host if request.client is not None else ""
    return RequestOrigin(address, request.scope.get("request_id", ""))


class AuditLog:
    """Appends audit entries within a transaction and counts them."""

    def __init__(self, chain: AuditChain, counters: GatewayMetrics) -> None:
        self.chain = chain
        self._counters = counters

    def add(
        self,
        session: Session,
        origin: RequestOrigin,
        action: str,
        *,
        by: Principal | None,
        use_case: str = "",
        target: str = "",
        outcome: AuditOutcome = "ok",
        **details: DetailValue,
    ) -> None:
        """Append one entry, as the last statement of a transaction: other writers wait until it ends. ``by`` is None
        for an unknown actor."""
        entry = AuditEntry(
            service=SERVICE_NAME,
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
        """Append entries of this or another service; return how many were new. Known ids are skipped."""
        session.flush()
        added = self.chain.append(session.connection(), entries)
        for service in {entry.service for entry in entries}:
            self._counters.audit_entries.labels(service).inc(sum(entry.service == service for entry in entries))
        return added
