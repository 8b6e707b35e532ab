"""Routes of API keys (``/admin/keys``) and signing keys (``/admin/signing-keys``)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.auth.principal import Principal, Role
from services.core.auth.tables import ApiKeyRow, SigningKeyRow
from services.core.errors import NotFoundError
from services.gateway.api_keys import service as api_keys_service
from services.gateway.api_keys.schemas import (
    ApiKey,
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyRotationRequest,
    SigningKeyInfo,
    SigningKeyRotationRequest,
)
from services.gateway.audit.service import request_origin_of
from services.gateway.auth import session_store
from services.gateway.container import GatewayContainer
from services.gateway.deps import Admin, require_all_centres, require_not_above_own, require_use_case, visible_centres


def api_keys_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["API keys"])

    @router.get("/admin/keys", summary="The keys of the centres that one sees, with their last use")
    def list_keys(caller: Admin) -> list[ApiKey]:
        with gateway.transaction() as session:
            return [ApiKey.of(row) for row in api_keys_service.list_api_keys(session, visible_centres(caller))]

    @router.post("/admin/keys", summary="Make a key", status_code=201)
    def create_key(request: Request, given: ApiKeyCreate, caller: Admin) -> ApiKeyCreated:
        """Creates a key. Only this response contains its text: the database stores the SHA-256."""
        require_not_above_own(caller, given.role, [given.centre], False)
        for use_case in given.use_cases or ():
            require_use_case(caller, use_case)
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            made = api_keys_service.insert_api_key(
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
                request_origin_of(request),
                "key.created",
                by=caller,
                target=f"key {made.row.id}",
                name=given.name,
                role=str(given.role),
                centre_of_key=given.centre,
                use_cases=made.row.use_cases,
            )
            answer = ApiKeyCreated(key=ApiKey.of(made.row), text=made.text)
        gateway.access.renew()
        return answer

    @router.post("/admin/keys/{key_id}/rotate", summary="Make a key's successor", status_code=201)
    def rotate_key(request: Request, key_id: str, given: ApiKeyRotationRequest, caller: Admin) -> ApiKeyCreated:
        """Creates a key with the same name, role, centre and use cases. The old one stays valid for `overlap_hours`, so
        that a centre can switch without rejected calls."""
        now = datetime.now(UTC)
        with gateway.transaction() as session:
            _get_managed_key(session, caller, key_id)
            made = api_keys_service.rotate_api_key(
                session, key_id, timedelta(hours=given.overlap_hours), caller.name, now
            )
            gateway.trail.add(
                session,
                request_origin_of(request),
                "key.rotated",
                by=caller,
                target=f"key {key_id}",
                successor=made.row.id,
                overlap_hours=str(given.overlap_hours),
            )
            answer = ApiKeyCreated(key=ApiKey.of(made.row), text=made.text)
        gateway.access.renew()
        return answer

    @router.delete("/admin/keys/{key_id}", summary="Revoke a key")
    def revoke_key(request: Request, key_id: str, caller: Admin) -> ApiKey:
        """Revokes the key: within seconds here and within a minute in all services."""
        with gateway.transaction() as session:
            _get_managed_key(session, caller, key_id)
            row = api_keys_service.revoke_api_key(session, key_id, datetime.now(UTC))
            gateway.trail.add(session, request_origin_of(request), "key.revoked", by=caller, target=f"key {key_id}")
            answer = ApiKey.of(row)
        gateway.access.renew()
        return answer

    @router.get("/admin/signing-keys", summary="The keys that tokens are signed with")
    def list_signing_keys(caller: Admin) -> list[SigningKeyInfo]:
        require_all_centres(caller)
        with gateway.transaction() as session:
            rows = session.scalars(
                select(SigningKeyRow).where(SigningKeyRow.retires_at.is_(None)).order_by(SigningKeyRow.signs_from)
            )
            return [SigningKeyInfo(kid=row.kid, created=row.created, signs_from=row.signs_from) for row in rows]

    @router.post("/admin/signing-keys/rotate", summary="Make a new signing key", status_code=201)
    def rotate_signing_key(request: Request, given: SigningKeyRotationRequest, caller: Admin) -> SigningKeyInfo:
        """Publishes a new key at once; it signs two minutes later, when every service has fetched it. Tokens of the old
        key stay valid until they expire. With `compromised` the new key signs immediately and older tokens are
        rejected."""
        require_all_centres(caller)
        with gateway.transaction() as session:
            key = gateway.signing.rotate(session, compromised=given.compromised)
            if given.compromised:
                session_store.end_sessions_of_everybody(session, datetime.now(UTC))
            gateway.trail.add(
                session,
                request_origin_of(request),
                "signing_key.rotated",
                by=caller,
                target=f"signing key {key.kid}",
                compromised=given.compromised,
            )
            row = session.get_one(SigningKeyRow, key.kid)
            answer = SigningKeyInfo(kid=row.kid, created=row.created, signs_from=row.signs_from)
        gateway.signing.forget()
        gateway.access.renew()
        return answer

    return router


def _get_managed_key(session: Session, caller: Principal, key_id: str) -> ApiKeyRow:
    """Return the key if the caller may manage it.

    Raises:
        NotFoundError: no such key in the caller's centres.
        HttpError: 403, the key has a higher role than the caller.
    """
    row = api_keys_service.get_api_key(session, key_id)
    if not caller.can_see_centre(row.centre):
        raise NotFoundError(f"There is no key {key_id!r}.", action="GET /admin/keys lists them.")
    require_not_above_own(caller, Role(row.role), (), False)
    return row
