"""Sign-in at an identity provider: OpenID Connect's authorization code flow with PKCE.

Roles come from the provider's groups at each sign-in; the provider decides about passwords and second factors.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.auth.principal import Role
from services.core.auth.tables import UserRow
from services.core.errors import UnavailableError, VigieError
from services.gateway.settings import GatewaySettings
from services.gateway.users import service as users_service

log = structlog.get_logger(__name__)

FLOW_SECONDS = 600
"""Time for which somebody may stay on the provider's page."""
_ALGORITHMS = ("ES256", "ES384", "PS256", "RS256", "RS384", "RS512")
_METADATA_SECONDS = 3_600.0
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Authorization:
    """Where the browser goes, and what its cookie has to bring back."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Role and centres that a group gives."""

    role: Role
    centre: str | None = None
    all_centres: bool = False


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Who the provider says signed in, and where the browser wanted to go."""

    subject: str
    name: str
    groups: frozenset[str]
    next_path: str


def parse_grants(text: str) -> dict[str, Grant]:
    """Parse ``group=role``, ``group=role:centre`` and ``group=role:*``, separated by commas.

    Raises:
        ValueError: an entry has another form, or its role does not exist.
    """
    grants: dict[str, Grant] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        group, _, right = entry.rpartition("=")
        role, _, centre = right.partition(":")
        if not group or role not in {*Role}:
            raise ValueError(f"{entry!r} is no group=role, group=role:centre or group=role:*")
        grants[group] = Grant(Role(role), None if centre in {"", "*"} else centre, centre == "*")
    return grants


class OidcLogin:
    """The flow with one provider, whose metadata and keys are read from its well-known address."""

    def __init__(self, settings: GatewaySettings, fernet: Fernet) -> None:
        assert settings.oidc_issuer is not None
        assert settings.oidc_client_id is not None
        self._settings, self._fernet = settings, fernet
        self._issuer, self._client_id = settings.oidc_issuer.rstrip("/"), settings.oidc_client_id
        self._grants = parse_grants(settings.oidc_groups)
        self._metadata: dict[str, Any] = {}
        self._read = float("-inf")

    def begin(self, redirect_uri: str, next_path: str) -> Authorization:
        """Start a sign-in.

        Raises:
            UnavailableError: the provider does not answer.
        """
        verifier, nonce, state = (secrets.token_urlsafe(48) for _ in range(3))
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                self._provider()["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        flow = {"state": state, "nonce": nonce, "verifier": verifier, "next": next_path}
        return Authorization(url, self._fernet.encrypt(json.dumps(flow).encode()).decode())

    def finish(self, redirect_uri: str, cookie: str, query: str) -> ExternalIdentity:
        """Exchange the code and verify the ID token.

        Args:
            redirect_uri: as in ``begin``.
            cookie: what ``begin`` gave the browser.
            query: the query that the provider's redirect brought.

        Raises:
            VigieError: the flow is too old or another browser's, or the provider's answer is not right.
            UnavailableError: the provider does not answer.
        """
        try:
            flow = json.loads(self._fernet.decrypt(cookie.encode(), ttl=FLOW_SECONDS))
        except InvalidToken:
            raise _refused("the sign-in took too long, or began in another browser") from None
        provider = self._provider()
        try:
            with self._client(redirect_uri) as client:
                token = client.fetch_token(
                    provider["token_endpoint"],
                    authorization_response=f"{redirect_uri}?{query}",
                    state=flow["state"],
                    code_verifier=flow["verifier"],
                )
        except httpx.HTTPError as error:
            raise _unavailable(error) from error
        except AuthlibBaseError as error:
            raise _refused(str(error.error)) from error
        claims = self._verified(str(token.get("id_token", "")), flow["nonce"])
        groups = claims.get(self._settings.oidc_groups_claim) or []
        name = claims.get(self._settings.oidc_name_claim) or claims.get("email") or ""
        return ExternalIdentity(
            subject=f"{self._issuer}|{claims['sub']}"[:255],
            name=users_service.normalize_name(str(name)),
            groups=frozenset(map(str, groups if isinstance(groups, list) else [groups])),
            next_path=str(flow["next"]),
        )

    def sign_in(self, session: Session, identity: ExternalIdentity, password_hash: str) -> UserRow:
        """Return the identity's user with the role of its groups; made at the first sign-in.

        Args:
            session: in a transaction.
            identity: whom the provider verified.
            password_hash: for a new user, of a password that nobody knows.

        Raises:
            VigieError: no group gives a role, the user is inactive, or a local user has the name.
        """
        given = [self._grants[group] for group in identity.groups if group in self._grants]
        if not given:
            raise _refused("none of your groups may use this platform", action="Ask for a group that may.")
        best = max(given, key=lambda grant: (list(Role).index(grant.role), grant.all_centres))
        centre = best.centre or self._settings.gateway_first_centre
        user = session.scalar(select(UserRow).where(UserRow.external_subject == identity.subject))
        if user is None:
            if users_service.find_user(session, identity.name) is not None:
                raise _refused(f"a local user has the name {identity.name}", action="An administrator can rename one.")
            user = users_service.insert_user(
                session, name=identity.name, password_hash=password_hash, role=best.role, centre=centre
            )
            user.external_subject = identity.subject
        if not user.active:
            raise _refused("your user is switched off here")
        users_service.require_centre(session, centre)
        user.role, user.centre, user.all_centres = str(best.role), centre, best.all_centres
        session.flush()
        return user

    def _verified(self, id_token: str, nonce: str) -> dict[str, Any]:
        try:
            keys = jwt.PyJWKSet.from_dict(self._get(self._provider()["jwks_uri"]))
            header = jwt.get_unverified_header(id_token)
            key = next(key for key in keys.keys if key.key_id == header.get("kid") or len(keys.keys) == 1)
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key.key,
                algorithms=[header["alg"]] if header["alg"] in _ALGORITHMS else [],
                audience=self._client_id,
                issuer=self._provider()["issuer"],
                leeway=30,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except (jwt.PyJWTError, StopIteration, KeyError) as error:
            raise _refused(f"its ID token is not right ({type(error).__name__})") from error
        if not secrets.compare_digest(str(claims.get("nonce", "")), nonce):
            raise _refused("its ID token answers another request")
        return claims

    def _client(self, redirect_uri: str) -> OAuth2Client:
        secret = self._settings.oidc_client_secret
        return OAuth2Client(
            self._client_id,
            None if secret is None else secret.get_secret_value(),
            scope=self._settings.oidc_scope,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="none" if secret is None else "client_secret_basic",
            timeout=_TIMEOUT_SECONDS,
        )

    def _provider(self) -> dict[str, Any]:
        if time.monotonic() - self._read > _METADATA_SECONDS:
            found = self._get(f"{self._issuer}/.well-known/openid-configuration")
            if str(found.get("issuer", "")).rstrip("/") != self._issuer:
                raise _refused("its metadata names another issuer")
            self._metadata, self._read = found, time.monotonic()
        return self._metadata

    def _get(self, url: str) -> dict[str, Any]:
        try:
            answer = httpx.get(url, timeout=_TIMEOUT_SECONDS, follow_redirects=False).raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _unavailable(error) from error
        return found


def _refused(why: str, action: str = "Begin the sign-in anew.") -> VigieError:
    return VigieError(f"The sign-in at the identity provider failed: {why}.", action=action)


def _unavailable(error: Exception) -> UnavailableError:
    log.warning("the identity provider does not answer", error=type(error).__name__)
    return UnavailableError("The identity provider does not answer.", action="Sign in with a password, or try again.")
