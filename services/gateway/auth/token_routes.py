"""Routes by which programs and services authenticate.

OAuth2 tokens (RFC 6749, 7009, 7517), forward auth for the edge, and the auth snapshot for other services."""

from __future__ import annotations

import base64
import binascii
import time
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Form, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from services.core.auth.credentials import AccessClaims, PublicKeys
from services.core.auth.principal import AuthError, AuthErrorCode, Principal, Role
from services.core.auth.snapshot import AuthSnapshotDocument, JsonWebKeySet
from services.core.auth.snapshot_poller import ApiKeyUsage
from services.core.headers import API_KEY_HEADER, ROLE_HEADER, USER_HEADER
from services.core.web.authentication import (
    PUBLIC,
    REQUIRED_ROLE,
    SAFE_METHODS,
    SERVICE,
    auth_http_error,
    extract_credential,
    extract_session,
    is_same_origin,
    pending_step_error,
)
from services.core.web.errors import HttpError, error_detail, http_error
from services.core.web.server import PRINCIPAL_KEY
from services.core.web.service_auth import admits
from services.gateway.api_keys import service as api_keys_service
from services.gateway.audit.service import RequestOrigin, request_origin_of
from services.gateway.auth import db_authenticator, session_store
from services.gateway.auth.login import LoginFailed, LoginSucceeded
from services.gateway.auth.schemas import TokenRequest, TokenResponse
from services.gateway.container import GatewayContainer
from services.gateway.deps import safe_redirect_path
from services.gateway.users import service as users_service

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
INVALID_CREDENTIALS = "The name or password is not right."
INVALID_REQUEST, INVALID_GRANT, INVALID_CLIENT = "invalid_request", "invalid_grant", "invalid_client"
UNSUPPORTED_GRANT = "unsupported_grant_type"
SECOND_FACTOR_REQUIRED = "second_factor_required"


class OAuthError(Exception):
    """An error response of the token endpoint (RFC 6749, section 5.2)."""

    def __init__(self, status: int, error: str, reason: str, *, wait_seconds: int = 0) -> None:
        super().__init__(error)
        self.status, self.error, self.reason, self.wait_seconds = status, error, reason, wait_seconds

    def answer(self, request: Request) -> JSONResponse:
        headers = dict(NO_STORE)
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="vigie"'
        if self.wait_seconds:
            headers["Retry-After"] = str(self.wait_seconds)
        content = {
            "error": self.error,
            "error_description": self.reason,
            "errors": [error_detail(self.error, self.reason)],
            "request_id": request.scope["request_id"],
        }
        return JSONResponse(content, self.status, headers)


def too_many_attempts(wait_seconds: int) -> str:
    return f"Too many attempts; try again in {wait_seconds} seconds."


def refused_login(found: LoginFailed) -> HttpError:
    """Return the error of a rejected login by password: 429 with the time to wait, 403 for want of a second factor."""
    if found.wait_seconds:
        return throttled(found.wait_seconds)
    if found.needs_code:
        return http_error(403, SECOND_FACTOR_REQUIRED, "This needs the code of your second factor.", field="code")
    return http_error(401, "credentials", INVALID_CREDENTIALS, headers={"WWW-Authenticate": 'Bearer realm="vigie"'})


def throttled(wait_seconds: int) -> HttpError:
    """Return a 429 error with the seconds to wait after failed attempts."""
    headers = {"Retry-After": str(wait_seconds)}
    return http_error(429, "too_many_requests", too_many_attempts(wait_seconds), headers=headers)


class TokenRevoker:
    """Revokes tokens and ends sessions, with audit entries."""

    def __init__(self, gateway: GatewayContainer) -> None:
        self._gateway = gateway

    def revoke(self, text: str, origin: RequestOrigin, *, action: str = "token.revoked") -> bool:
        """Revoke a refresh or an access token. False if it is neither, or no longer valid."""
        gateway, now = self._gateway, datetime.now(UTC)
        if text.startswith(session_store.REFRESH_TOKEN_PREFIX):
            with gateway.transaction() as session:
                user = session_store.end_session(session, text, now)
                if user is None:
                    return False
                gateway.trail.add(
                    session, origin, action, by=users_service.user_principal(session, user), kind="refresh_token"
                )
            gateway.access.renew()
            return True
        keys = gateway.signing.current().jwks(time.time())["keys"]
        claims = PublicKeys(keys).verify(text, time.time())
        if not isinstance(claims, AccessClaims) or gateway.access.revoked(claims):
            return False  # nothing ends, so there is nothing to log: possession of an old token fills no audit log
        with gateway.transaction() as session:
            db_authenticator.revoke_token(session, claims.jti, now)
            gateway.trail.add(session, origin, action, by=claims.caller(), kind="access_token")
        gateway.access.renew()
        return True

    def end_session(self, text: str, origin: RequestOrigin) -> bool:
        """End the session of an access token, which may have expired, and revoke the token."""
        gateway, now = self._gateway, datetime.now(UTC)
        claims = gateway.signing.session_claims(text)
        if claims is None or claims.sid is None or gateway.access.revoked(claims):
            return False
        with gateway.transaction() as session:
            session_store.end_token_family(session, claims.sid, now)
            db_authenticator.revoke_token(session, claims.jti, now)
            gateway.trail.add(session, origin, "login.ended", by=claims.caller(), kind="sign_in")
        gateway.access.renew()
        return True


def token_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["signing in"])
    revoker = TokenRevoker(gateway)

    @router.post(
        "/auth/token",
        openapi_extra=dict(PUBLIC),
        summary="Get an access token",
        response_model=TokenResponse,
        response_model_exclude_none=True,
    )
    async def issue_token(request: Request, form: Annotated[TokenRequest, Form()]) -> Response:
        """OAuth2 (RFC 6749) with three grants: `password` (username, password), `client_credentials` (client_id is an
        API key's id and client_secret its text, also as HTTP Basic) and `refresh_token`. A refresh token is valid once:
        its reuse ends the session."""
        if not form.client_id or not form.client_secret:
            form.client_id, form.client_secret = _basic_credentials(request)
        try:
            found = await _grant(gateway, form, request_origin_of(request))
        except OAuthError as error:
            return error.answer(request)
        answer = TokenResponse(
            access_token=found.access_token, expires_in=found.expires_in, refresh_token=found.refresh_token
        )
        return JSONResponse(answer.model_dump(exclude_none=True), headers=NO_STORE)

    @router.post(
        "/auth/revoke",
        openapi_extra=dict(PUBLIC),
        summary="Take a token back",
        response_class=Response,
        response_description="The token is not in force (any more). The answer has no body.",
    )
    def revoke_token(
        request: Request,
        token: Annotated[str, Form(max_length=8_192, examples=["the token that is to end"])],
        token_type_hint: Annotated[str | None, Form(max_length=40)] = None,  # noqa: ARG001 - the format is sufficient
    ) -> Response:
        """RFC 7009: a refresh token ends its session; an access token is rejected by all services within seconds.
        Possession of the token is sufficient. The status is always 200."""
        revoker.revoke(token, request_origin_of(request))
        return Response(headers=NO_STORE)

    @router.get(
        "/.well-known/jwks.json",
        openapi_extra=dict(PUBLIC),
        summary="Public keys of access tokens",
        response_model=JsonWebKeySet,
    )
    def get_jwks() -> JSONResponse:
        """A JSON Web Key Set (RFC 7517). A new key is published two minutes before it signs."""
        keys = gateway.access.document().jwks
        return JSONResponse(keys.model_dump(), headers={"Cache-Control": "public, max-age=30"})

    return router


async def _grant(gateway: GatewayContainer, form: TokenRequest, origin: RequestOrigin) -> LoginSucceeded:
    """Authenticate by the requested grant.

    Raises:
        OAuthError: the request is incomplete or the credentials are invalid.
    """
    sign_in, refused = gateway.sign_in, OAuthError(400, INVALID_GRANT, INVALID_CREDENTIALS)
    found: LoginSucceeded | LoginFailed
    match form.grant_type:
        case "password":
            name, password = _require_both(form.username, form.password, "username and password")
            found = await sign_in.with_password(name, password, origin, code=form.otp)
        case "client_credentials":
            key, secret = _require_both(form.client_id, form.client_secret, "client_id and client_secret")
            found = await to_thread.run_sync(sign_in.with_key, key, secret, origin)
            refused = OAuthError(401, INVALID_CLIENT, "The key is not right, or not in force.")
        case "refresh_token":
            text, _ = _require_both(form.refresh_token, form.grant_type, "refresh_token")
            found = await to_thread.run_sync(sign_in.with_refresh_token, text, origin)
            refused = OAuthError(400, INVALID_GRANT, "The refresh token is not in force; sign in again.")
        case _:
            raise OAuthError(
                400,
                UNSUPPORTED_GRANT,
                "The grants are password, client_credentials and refresh_token; this is another.",
            )
    if isinstance(found, LoginSucceeded):
        return found
    if found.needs_code:
        raise OAuthError(400, SECOND_FACTOR_REQUIRED, "Send the code of your second factor as otp.")
    if found.wait_seconds:
        raise OAuthError(429, "slow_down", too_many_attempts(found.wait_seconds), wait_seconds=found.wait_seconds)
    raise refused


def _require_both(first: str | None, second: str | None, names: str) -> tuple[str, str]:
    if not first or not second:
        raise OAuthError(400, INVALID_REQUEST, f"This grant needs {names}.")
    return first, second


def _basic_credentials(request: Request) -> tuple[str | None, str | None]:
    """Read client id and secret from HTTP Basic."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    return name, secret


def forward_auth_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["the edge"])

    @router.get(
        "/auth/check",
        openapi_extra={REQUIRED_ROLE: str(Role.VIEWER)},
        summary="Whether a browser may see a page",
        status_code=204,
        responses={303: {"description": "The browser has to sign in first."}},
    )
    def check_page_access(
        request: Request, role: Annotated[Role, Query(description="The role that the page requires.")] = Role.VIEWER
    ) -> Response:
        """Forward auth for the edge, which sends `X-Forwarded-Uri` and `X-Forwarded-Method`. The session cookie takes
        precedence over `X-API-Key`: `Authorization` may be meant for the upstream. 204 carries `X-Vigie-User` and
        `X-Vigie-Role`."""
        headers = request.headers
        credential = extract_session(headers.raw)
        shown = credential.text or headers.get(API_KEY_HEADER) or extract_credential(headers.raw).text
        found = gateway.access.verify(shown)
        method = headers.get("x-forwarded-method", "GET").upper()
        if isinstance(found, AuthError):
            if method == "GET" and "text/html" in headers.get("accept", ""):
                page = safe_redirect_path(headers.get("x-forwarded-uri", "/"))
                return RedirectResponse(f"/auth/session/continue?next={quote(page, safe='/')}", 303)
            raise auth_http_error(found)
        if credential.text is not None and method not in SAFE_METHODS and not is_same_origin(headers.raw):
            raise auth_http_error(AuthError(AuthErrorCode.CROSS_SITE))
        if found.pending:
            raise pending_step_error(found)
        if not found.role.covers(role):
            raise http_error(403, "role", f"This page needs the role {role}; yours is {found.role}.")
        request.scope[PRINCIPAL_KEY] = found
        return Response(
            status_code=204,
            headers={
                USER_HEADER: _upstream_name(found),
                ROLE_HEADER: str(found.role),
                "Cache-Control": "no-store",
            },
        )

    return router


def _upstream_name(caller: Principal) -> str:
    """Return the name for upstreams that trust ``X-Vigie-User``: printable ASCII, and no key is taken for a user."""
    name = caller.name if caller.kind == "user" else f"{caller.kind}:{caller.id}"
    return "".join(char if " " <= char <= "~" else "?" for char in name)


def internal_router(gateway: GatewayContainer) -> APIRouter:
    router = APIRouter(tags=["between services"], dependencies=[Depends(admits("prediction"))])

    @router.get("/internal/access-list", openapi_extra=dict(SERVICE), summary="All that verifying callers needs")
    def get_access_list() -> AuthSnapshotDocument:
        return gateway.access.document()

    @router.post("/internal/key-usage", openapi_extra=dict(SERVICE), summary="Uses of API keys", status_code=204)
    def report_key_usage(uses: Annotated[list[ApiKeyUsage], Body(max_length=10_000)]) -> Response:
        with gateway.transaction() as session:
            api_keys_service.record_api_key_usage(session, uses)
        return Response(status_code=204)

    return router
