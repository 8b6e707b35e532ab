"""Every operation of every service's OpenAPI document is tried with every role, with none and with credentials
that are no good, and does what it declares: ``x-required-role``."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from services.core.auth.credentials import SigningKey
from services.core.auth.principal import AuthErrorCode, Role
from services.core.web.api_docs import operations, undeclared_routes
from services.core.web.authentication import REQUIRED_ROLE, USE_CASE_EXTENSION
from tests.access_subjects import SUBJECTS, Subject

REFUSED = {*AuthErrorCode, "role", "use_case", "unauthorized"}
"""The words by which a service says that it does not know or does not let in a caller."""


class Walk:
    """Asks each operation of one service and tells what it said to who asked."""

    def __init__(self, subject: Subject, runner: asyncio.Runner) -> None:
        self.subject = subject
        self._runner = runner
        transport = httpx.ASGITransport(subject.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://vigie.test")
        self.operations = list(operations(subject.app))

    def outcomes(self, headers: Callable[[], dict[str, str]]) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Operation, its entry, and ``in`` or the word of the refusal."""
        for method, path, operation in self.operations:
            if f"{method} {path}" not in self.subject.verdicts:
                yield f"{method} {path}", operation, self.ask(method, path, headers())

    def ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        found = re.sub(r"{([^}]+)}", lambda match: self.subject.parameters.get(match[1], str(uuid.uuid4())), path)
        body: dict[str, Any] | None = None if method in {"GET", "DELETE"} else {}
        answer = self._runner.run(self._client.request(method, found, headers=headers, json=body))
        assert answer.status_code != 500, f"{method} {path} failed"
        word = _word(answer)
        if word not in REFUSED:
            return "in"
        expected = {"role": 403, "use_case": 403, AuthErrorCode.CROSS_SITE: 403}
        expected |= dict.fromkeys((AuthErrorCode.NO_LIST, AuthErrorCode.UNCONFIRMED), 503)
        assert answer.status_code == expected.get(word, 401), f"{method} {path}: {word} with {answer.status_code}"
        return word

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self.subject.close()


def _word(answer: httpx.Response) -> str:
    if answer.status_code < 400:
        return ""
    try:
        return str(answer.json()["errors"][0]["type"])
    except (ValueError, KeyError, TypeError):
        return ""


@pytest.fixture(scope="module", params=SUBJECTS)
def walk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with asyncio.Runner() as runner:
        made = Walk(SUBJECTS[request.param](_home(tmp_path_factory, request.param)), runner)
        yield made
        made.close()


def _home(factory: pytest.TempPathFactory, name: str) -> Path:
    return factory.mktemp(name.replace(" ", "-"))


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def _nothing_but(walk: Walk, headers: Callable[[], dict[str, str]], words: set[str]) -> None:
    """Who comes like this gets into what is public, and is refused with one of ``words`` everywhere else."""
    wrong = [
        (name, operation[REQUIRED_ROLE], outcome)
        for name, operation, outcome in walk.outcomes(headers)
        if (outcome != "in" if operation[REQUIRED_ROLE] == "public" else outcome not in words)
    ]
    assert wrong == []


def test_every_route_says_who_may_call_it(walk: Walk) -> None:
    assert undeclared_routes(walk.subject.app) == []
    assert {operation[REQUIRED_ROLE] for _, _, operation in walk.operations} <= {*Role, "public", "service"}


def test_without_a_credential_only_what_is_public_answers(walk: Walk) -> None:
    _nothing_but(walk, dict, {AuthErrorCode.MISSING, "unauthorized"})


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("kind", ["token", "key", "cookie"])
def test_each_role_gets_into_what_is_declared_for_it_and_nothing_else(walk: Walk, kind: str, role: Role) -> None:
    def headers() -> dict[str, str]:
        if kind == "key":
            return {"X-API-Key": walk.subject.key(role, None)}
        token = walk.subject.token(role, None)
        if kind == "token":
            return _bearer(token)
        return {"Cookie": f"vigie_session={token}; vigie_csrf={'c' * 43}", "X-Vigie-CSRF": "c" * 43}

    wrong = []
    for name, operation, outcome in walk.outcomes(headers):
        required = operation[REQUIRED_ROLE]
        if required == "public":
            expected = {"in"}
        elif required == "service":
            expected = {"unauthorized"}
        else:
            expected = {"in"} if role.covers(Role(required)) else {"role"}
        if outcome not in expected:
            wrong.append((name, required, outcome))
    assert wrong == []


def test_a_cookie_without_the_csrf_header_changes_nothing(walk: Walk) -> None:
    cookie = f"vigie_session={{}}; vigie_csrf={'c' * 43}"
    wrong = [
        (name, operation[REQUIRED_ROLE], outcome)
        for name, operation, outcome in walk.outcomes(
            lambda: {"Cookie": cookie.format(walk.subject.token(Role.ADMIN, None))}
        )
        if operation[REQUIRED_ROLE] in {*Role}
        and outcome != ("in" if name.startswith("GET ") else AuthErrorCode.CROSS_SITE)
    ]
    assert wrong == []


@pytest.mark.parametrize("role", list(Role))
def test_a_token_signed_by_another_key_opens_nothing(walk: Walk, role: Role) -> None:
    def forged() -> dict[str, str]:
        good = walk.subject.token(role, None)
        kid = jwt.get_unverified_header(good)["kid"]
        other = replace(SigningKey.new(0.0), kid=kid)
        payload = jwt.decode(good, options={"verify_signature": False})
        return _bearer(jwt.encode(payload, other.private_key, "ES256", headers={"kid": kid}))

    _nothing_but(walk, forged, {AuthErrorCode.BAD_SIGNATURE, "unauthorized"})


def test_a_token_without_a_signature_opens_nothing(walk: Walk) -> None:
    def unsigned() -> dict[str, str]:
        good = walk.subject.token(Role.ADMIN, None)
        header = {"alg": "none", "typ": "JWT", "kid": jwt.get_unverified_header(good)["kid"]}
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
        return _bearer(f"{head}.{good.split('.')[1]}.")

    _nothing_but(walk, unsigned, {AuthErrorCode.MALFORMED, "unauthorized"})


@pytest.mark.parametrize("role", list(Role))
def test_an_expired_token_opens_nothing(walk: Walk, role: Role) -> None:
    _nothing_but(walk, lambda: _bearer(walk.subject.expired(role)), {AuthErrorCode.EXPIRED, "unauthorized"})


def test_a_revoked_token_opens_nothing(walk: Walk) -> None:
    _nothing_but(walk, lambda: _bearer(walk.subject.revoked(Role.ADMIN)), {AuthErrorCode.REVOKED, "unauthorized"})


@pytest.mark.parametrize("kind", ["token", "key"])
def test_a_credential_for_another_use_case_gets_into_no_other(walk: Walk, kind: str) -> None:
    make = walk.subject.token if kind == "token" else walk.subject.key
    wrong = [
        (name, operation[USE_CASE_EXTENSION], outcome)
        for name, operation, outcome in walk.outcomes(lambda: _bearer(make(Role.ADMIN, frozenset({"another"}))))
        if USE_CASE_EXTENSION in operation and outcome != "use_case"
    ]
    assert wrong == []


@pytest.mark.parametrize("text", ["x" * 43, "vig_abcdefghijkl_" + "a" * 43, ""])
def test_what_nobody_was_given_opens_nothing(walk: Walk, text: str) -> None:
    words = {AuthErrorCode.MALFORMED, AuthErrorCode.UNKNOWN, AuthErrorCode.UNCONFIRMED, "unauthorized"}
    _nothing_but(walk, lambda: _bearer(text), words)


def test_the_services_credential_opens_what_is_for_services_and_nothing_else(walk: Walk) -> None:
    own = walk.subject.service_token
    for name, operation, outcome in walk.outcomes(lambda: _bearer(own or "")):
        if operation[REQUIRED_ROLE] == "service":
            assert (name, outcome) == (name, "in")
        elif operation[REQUIRED_ROLE] != "public":
            assert (name, outcome) == (name, AuthErrorCode.MALFORMED)
