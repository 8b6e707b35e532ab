"""``/auth/token`` and what belongs to it: OAuth2 for programs."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse

from services.core.web.roles import PUBLIC
from services.gateway.gateway import Gateway
from services.gateway.oauth_faults import (
    INVALID_CLIENT,
    INVALID_GRANT,
    INVALID_REQUEST,
    NO_STORE,
    UNSUPPORTED,
    WRONG,
    OAuthError,
    too_many,
)
from services.gateway.schemas import TokenAnswer, TokenRequest
from services.gateway.sign_in import NotSignedIn, SignedIn
from services.gateway.trail import Origin, origin_of
from services.gateway.withdrawal import Withdrawal


def token_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["signing in"])
    withdrawal = Withdrawal(gateway)

    @router.post(
        "/auth/token",
        openapi_extra=dict(PUBLIC),
        summary="Get an access token",
        response_model=TokenAnswer,
        response_model_exclude_none=True,
    )
    async def token(request: Request, form: Annotated[TokenRequest, Form()]) -> Response:
        """OAuth2 (RFC 6749) with three grants: `password` (username, password), `client_credentials` (client_id
        is an API key's id and client_secret its text, also as HTTP Basic) and `refresh_token`. A refresh token
        works once: shown twice, it ends the whole sign-in."""
        if not form.client_id or not form.client_secret:
            form.client_id, form.client_secret = _basic(request)
        try:
            found = await _granted(gateway, form, origin_of(request))
        except OAuthError as error:
            return error.answer(request)
        answer = TokenAnswer(
            access_token=found.access_token, expires_in=found.expires_in, refresh_token=found.refresh_token
        )
        return JSONResponse(answer.model_dump(exclude_none=True), headers=NO_STORE)

    @router.post("/auth/revoke", openapi_extra=dict(PUBLIC), summary="Take a token back")
    def revoke(
        request: Request,
        token: Annotated[str, Form(max_length=8_192)],
        token_type_hint: Annotated[str | None, Form(max_length=40)] = None,  # noqa: ARG001 - they look different
    ) -> Response:
        """RFC 7009: a refresh token ends its sign-in, an access token stops counting everywhere within seconds.
        Who has the token may take it back. The answer is 200 in any case."""
        withdrawal.of_token(token, origin_of(request))
        return Response(headers=NO_STORE)

    @router.get("/.well-known/jwks.json", openapi_extra=dict(PUBLIC), summary="Public keys of access tokens")
    def jwks() -> JSONResponse:
        """A JSON Web Key Set (RFC 7517). A new key is here two minutes before it signs."""
        keys = gateway.access.document().jwks
        return JSONResponse(keys.model_dump(), headers={"Cache-Control": "public, max-age=30"})

    return router


async def _granted(gateway: Gateway, form: TokenRequest, origin: Origin) -> SignedIn:
    """
    Raises:
        OAuthError: the request is not complete, or what it shows is not right.
    """
    sign_in, refused = gateway.sign_in, OAuthError(400, INVALID_GRANT, WRONG)
    found: SignedIn | NotSignedIn
    match form.grant_type:
        case "password":
            name, password = _needed(form.username, form.password, "username and password")
            found = await sign_in.with_password(name, password, origin)
        case "client_credentials":
            key, secret = _needed(form.client_id, form.client_secret, "client_id and client_secret")
            found = await to_thread.run_sync(sign_in.with_key, key, secret, origin)
            refused = OAuthError(401, INVALID_CLIENT, "The key is not right, or not in force.")
        case "refresh_token":
            text, _ = _needed(form.refresh_token, form.grant_type, "refresh_token")
            found = await to_thread.run_sync(sign_in.with_refresh_token, text, origin)
            refused = OAuthError(400, INVALID_GRANT, "The refresh token is not in force; sign in again.")
        case _:
            raise OAuthError(
                400, UNSUPPORTED, "The grants are password, client_credentials and refresh_token; this is another."
            )
    if isinstance(found, SignedIn):
        return found
    if found.wait_seconds:
        raise OAuthError(429, "slow_down", too_many(found.wait_seconds), wait_seconds=found.wait_seconds)
    raise refused


def _needed(first: str | None, second: str | None, names: str) -> tuple[str, str]:
    if not first or not second:
        raise OAuthError(400, INVALID_REQUEST, f"This grant needs {names}.")
    return first, second


def _basic(request: Request) -> tuple[str | None, str | None]:
    """Client id and secret from HTTP Basic."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    return name, secret
