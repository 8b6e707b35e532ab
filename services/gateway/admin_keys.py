"""``/admin/keys``: API keys of dispatch centres, and ``/admin/signing-keys``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.access.tables import ApiKeyRow, SigningKeyRow
from services.core.errors import NotFoundError, VigieError
from services.gateway import keys
from services.gateway.callers import Admin
from services.gateway.gateway import Gateway
from services.gateway.rights import require_all_centres, require_no_more_than_own, require_use_case, seen_centres
from services.gateway.schemas import Key, KeyRotation, MadeKeyAnswer, NewKey, Rotation, SigningKeyAnswer
from services.gateway.trail import origin_of


def keys_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["API keys"])

    @router.get("/admin/keys", summary="The keys of the centres that one sees, with their last use")
    def list_keys(caller: Admin) -> list[Key]:
        with gateway.transaction() as session:
            return [Key.of(row) for row in keys.listed(session, seen_centres(caller))]

    @router.post("/admin/keys", summary="Make a key", status_code=201)
    def create_key(request: Request, given: NewKey, caller: Admin) -> MadeKeyAnswer:
        """The answer shows the key's text, this once: it is stored as SHA-256."""
        require_no_more_than_own(caller, given.role, [given.centre], False)
        for use_case in given.use_cases or ():
            require_use_case(caller, use_case)
        now = datetime.now(UTC)
        if given.expires_at is not None and given.expires_at.tzinfo is None:
            raise VigieError("expires_at has no zone.", expected="a moment such as 2027-01-31T00:00:00Z")
        with gateway.transaction() as session:
            made = keys.create(
                session,
                name=given.name,
                role=given.role,
                centre=given.centre,
                use_cases=given.use_cases,
                expires_at=given.expires_at or now + timedelta(days=gateway.settings.gateway_key_days),
                created_by=caller.name,
                now=now,
            )
            gateway.trail.add(
                session,
                origin_of(request),
                "key.created",
                by=caller,
                target=f"key {made.row.id}",
                name=given.name,
                role=str(given.role),
                centre_of_key=given.centre,
                use_cases=made.row.use_cases,
            )
            answer = MadeKeyAnswer(key=Key.of(made.row), text=made.text)
        gateway.access.renew()
        return answer

    @router.post("/admin/keys/{key_id}/rotate", summary="Make a key's successor", status_code=201)
    def rotate_key(request: Request, key_id: str, given: KeyRotation, caller: Admin) -> MadeKeyAnswer:
        """A new key with the same name, role, centre and use cases. The old one works for `overlap_hours` more,
        so that a centre changes over without a refused call."""
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            _own_key(session, caller, key_id)
            made = keys.rotate(session, key_id, timedelta(hours=given.overlap_hours), caller.name, now)
            gateway.trail.add(
                session,
                origin_of(request),
                "key.rotated",
                by=caller,
                target=f"key {key_id}",
                successor=made.row.id,
                overlap_hours=str(given.overlap_hours),
            )
            answer = MadeKeyAnswer(key=Key.of(made.row), text=made.text)
        gateway.access.renew()
        return answer

    @router.delete("/admin/keys/{key_id}", summary="Revoke a key")
    def revoke_key(request: Request, key_id: str, caller: Admin) -> Key:
        """It stops working within seconds here and within a minute everywhere."""
        with gateway.transaction() as session:
            _own_key(session, caller, key_id)
            row = keys.revoke(session, key_id, datetime.now(UTC))
            gateway.trail.add(session, origin_of(request), "key.revoked", by=caller, target=f"key {key_id}")
            answer = Key.of(row)
        gateway.access.renew()
        return answer

    @router.get("/admin/signing-keys", summary="The keys that tokens are signed with")
    def list_signing_keys(caller: Admin) -> list[SigningKeyAnswer]:
        require_all_centres(caller)
        with gateway.transaction() as session:
            rows = session.scalars(
                select(SigningKeyRow).where(SigningKeyRow.retires_at.is_(None)).order_by(SigningKeyRow.signs_from)
            )
            return [SigningKeyAnswer(kid=row.kid, created=row.created, signs_from=row.signs_from) for row in rows]

    @router.post("/admin/signing-keys/rotate", summary="Make a new signing key", status_code=201)
    def rotate_signing_key(request: Request, given: Rotation, caller: Admin) -> SigningKeyAnswer:
        """It is published at once and signs two minutes later, when every service knows it; tokens of the old one
        count until they run out. `compromised`: no such courtesy."""
        require_all_centres(caller)
        with gateway.transaction() as session:
            key = gateway.signing.rotate(session, compromised=given.compromised)
            gateway.trail.add(
                session,
                origin_of(request),
                "signing_key.rotated",
                by=caller,
                target=f"signing key {key.kid}",
                compromised=given.compromised,
            )
            row = session.get_one(SigningKeyRow, key.kid)
            answer = SigningKeyAnswer(kid=row.kid, created=row.created, signs_from=row.signs_from)
        gateway.signing.forget()
        gateway.access.renew()
        return answer

    return router


def _own_key(session: Session, caller: Caller, key_id: str) -> ApiKeyRow:
    """
    Raises:
        NotFoundError: there is no such key in the caller's centres.
        RefusedError: 403, the key has a higher role than the caller.
    """
    row = keys.get(session, key_id)
    if not caller.sees(row.centre):
        raise NotFoundError(f"There is no key {key_id!r}.", action="GET /admin/keys lists them.")
    require_no_more_than_own(caller, Role(row.role), (), False)
    return row
