"""The user's session: access token, user, language and exercise mode.

The gateway's cookie is read when a page is opened. After that the newest access token is in Streamlit's session state
and renewed at the gateway; only the gateway decides whether the session is still valid."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st

from services.core import use_case_registry
from services.core.auth.principal import Role
from services.core.contract.use_case import UseCase
from services.core.messages import Formats, Language, Translator
from services.dashboard import drafts
from services.dashboard.api.client import (
    Client,
    Service,
    ServiceUnavailableError,
    SessionExpiredError,
    end_session,
    fresh_token,
)
from services.dashboard.components.frontend import EXERCISE_COOKIE, SESSION_COOKIE
from services.dashboard.i18n import language
from services.dashboard.settings import settings
from services.dashboard.upload_gate import admit_session, dismiss_session

T = TypeVar("T")

RENEW_BEFORE_SECONDS = 90.0
"""A token is renewed this long before it expires, seconds."""
_TOKEN, _ENDS, _USER, _EXERCISE, _CACHE = (f"vigie_{name}" for name in ("token", "ends", "user", "exercise", "memory"))


@dataclass(frozen=True, slots=True)
class User:
    """The user as reported by the gateway. For display: the services check permissions themselves."""

    id: str
    name: str
    role: Role
    centre: str
    centres: tuple[str, ...] | None
    """Further centres whose calls are visible; None for all."""
    use_cases: tuple[str, ...] | None
    pending: str = ""
    """What the user has to do before anything else: ``password`` or ``second_factor``."""

    @classmethod
    def of(cls, said: dict[str, Any]) -> User:
        centres, use_cases = said.get("centres") or [], said.get("use_cases")
        return cls(
            id=said.get("id") or said.get("sub", ""),
            name=said["name"],
            role=Role(said["role"]),
            centre=said["centre"],
            centres=None if centres == "*" else tuple(centres),
            use_cases=None if use_cases is None else tuple(use_cases),
            pending=str(said.get("pending") or ""),
        )


@dataclass(frozen=True, slots=True)
class Session:
    """Clients, user and language, passed to every page."""

    user: User
    words: Translator
    formats: Formats
    client: Client
    exercise: bool

    @property
    def language(self) -> Language:
        return self.words.language

    def has_role(self, role: Role) -> bool:
        return self.user.role.covers(role)

    def has_platform_role(self, role: Role) -> bool:
        """Whether the user has the role for all centres, as what changes models for everybody needs."""
        return self.has_role(role) and self.user.centres is None

    def remembered(self, name: str, seconds: float, make: Callable[[], T]) -> T:
        """Cached result of ``make``, at most ``seconds`` old; cached per browser session, so that it is not shared."""
        memory = st.session_state.setdefault(_CACHE, {})
        found = memory.get(name)
        if found is None or time.monotonic() - found[0] > seconds:
            memory[name] = found = (time.monotonic(), make())
            for old in [key for key, (at, _) in memory.items() if time.monotonic() - at > 900]:
                del memory[old]
        value: T = found[1]
        return value

    def forget(self, name: str) -> None:
        st.session_state.setdefault(_CACHE, {}).pop(name, None)

    def use_cases(self) -> list[UseCase]:
        """The use cases that prediction serves and this user may call.

        Raises:
            ApiError: prediction does not answer.
        """
        served = self.remembered("use-cases", 30, lambda: self.client.get(Service.PREDICTION, "/v1/use-cases"))
        names = [line["name"] for line in served]
        allowed = self.user.use_cases
        return [
            use_case_registry.get(name)
            for name in names
            if name in use_case_registry.names() and (allowed is None or name in allowed)
        ]

    def served(self, use_case: str) -> dict[str, Any]:
        """Prediction's metadata of a use case: model, version, source, metrics."""
        found: dict[str, Any] = self.remembered(
            f"served-{use_case}", 30, lambda: self.client.get(Service.PREDICTION, f"/v1/{use_case}")
        )
        return found


def exercise() -> bool:
    if _EXERCISE not in st.session_state:
        st.session_state[_EXERCISE] = st.context.cookies.get(EXERCISE_COOKIE) == "1"
    return bool(st.session_state[_EXERCISE])


def set_exercise(on: bool) -> None:
    st.session_state[_EXERCISE] = on


def current_session() -> Session | None:
    """The session of this page; None if nobody is signed in.

    Raises:
        SessionExpiredError: the session has expired.
        ServiceUnavailableError: the gateway cannot verify it at present.
    """
    if _TOKEN not in st.session_state:
        cookie = st.context.cookies.get(SESSION_COOKIE)
        if not cookie:
            return None
        _start_from_cookie(cookie)
    _valid_token()
    admit_session()
    words = Translator(language())
    user: User = st.session_state[_USER]
    return Session(user, words, Formats(words.language), Client(_valid_token), exercise() and can_exercise(user))


def can_exercise(user: User) -> bool:
    least = Role.DISPATCHER if settings().dashboard_exercise else Role.OPERATOR
    return user.role.covers(least)


def forget_sign_in() -> None:
    dismiss_session()
    for name in (_TOKEN, _ENDS, _USER, _CACHE):
        st.session_state.pop(name, None)


def sign_out() -> None:
    """End the session at the gateway: the page's token and the cookie's."""
    for token in {st.session_state.get(_TOKEN), st.context.cookies.get(SESSION_COOKIE)}:
        if token:
            end_session(token)
    drafts.forget_sign_in()
    forget_sign_in()


def _start_from_cookie(token: str) -> None:
    """Start with the cookie's token. If the gateway does not answer, its unverified claims are enough to render pages:
    prediction verifies the token on every call."""
    try:
        _store_token(fresh_token(token))
    except ServiceUnavailableError:
        said = _unverified_claims(token)
        if said is None or said["exp"] < time.time() + 5:
            raise
        st.session_state[_TOKEN], st.session_state[_ENDS] = token, said["exp"]
        st.session_state[_USER] = User.of(said)
        drafts.use_sign_in(said.get("sid") or "")


def _valid_token() -> str:
    """The access token, renewed if it is about to expire.

    Raises:
        SessionExpiredError: the session has expired.
        ServiceUnavailableError: the token has expired, and the gateway does not answer.
    """
    ends = st.session_state.get(_ENDS)
    if ends is None:
        raise SessionExpiredError
    left = ends - time.time()
    if left < RENEW_BEFORE_SECONDS:
        try:
            _store_token(fresh_token(st.session_state[_TOKEN]))
        except ServiceUnavailableError:
            if left < 1:
                raise
    token: str = st.session_state[_TOKEN]
    return token


def _store_token(answer: dict[str, Any]) -> None:
    st.session_state[_TOKEN] = answer["access_token"]
    st.session_state[_ENDS] = time.time() + answer["expires_in"]
    st.session_state[_USER] = User.of(answer["user"])
    drafts.use_sign_in((_unverified_claims(answer["access_token"]) or {}).get("sid") or "")


def _unverified_claims(token: str) -> dict[str, Any] | None:
    """Claims of a token without verification: they grant nothing."""
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return {**found, "exp": float(found["exp"]), "role": Role(found["role"]).value}
    except (IndexError, ValueError, KeyError, TypeError):
        return None
