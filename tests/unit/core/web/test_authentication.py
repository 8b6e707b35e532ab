"""A route lets in whom it declares, and says so in the OpenAPI document."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI

from services.core.auth.principal import AllowAll, AuthError, AuthErrorCode, Principal, Role
from services.core.web.api_docs import operations, undeclared_routes
from services.core.web.app_factory import create_service_app
from services.core.web.authentication import PUBLIC, requires

CSRF = "c" * 43
SAME_SITE = {"X-Vigie-CSRF": CSRF, "Sec-Fetch-Site": "same-origin", "Origin": "https://vigie.test"}


class Book:
    """A verifier that knows callers by their credential, ``refused:<reason>`` aside."""

    def __init__(self, base: Principal) -> None:
        self._base = base

    def verify(self, credential: str | None) -> Principal | AuthError:
        if credential is None:
            return AuthError(AuthErrorCode.MISSING)
        if credential.startswith("refused:"):
            return AuthError(AuthErrorCode(credential.removeprefix("refused:")))
        try:
            return replace(self._base, role=Role(credential))
        except ValueError:
            return AuthError(AuthErrorCode.MALFORMED)


@pytest.fixture
def app(dispatcher: Principal) -> FastAPI:
    made = create_service_app(service="test", title="Test", docs="/v1/docs")

    @made.get("/open", openapi_extra=dict(PUBLIC))
    async def everybody() -> str:
        return "open"

    router = APIRouter(prefix="/admin", dependencies=[Depends(requires(Role.OPERATOR))])

    @router.get("/jobs")
    async def jobs(caller: Annotated[Principal, Depends(requires(Role.OPERATOR))]) -> str:
        return caller.name

    @router.delete("/users", dependencies=[Depends(requires(Role.ADMIN))])
    async def users() -> str:
        return "deleted"

    made.include_router(router)
    for use_case in ("toy", "other"):

        @made.post(
            f"/v1/{use_case}", name=f"call_{use_case}", dependencies=[Depends(requires(Role.VIEWER, use_case=use_case))]
        )
        async def call() -> str:
            return "called"

    made.state.authenticator = Book(dispatcher)
    return made


@pytest.fixture
def ask(app: FastAPI) -> Iterator[Any]:
    with asyncio.Runner() as runner:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://vigie.test")
        yield lambda method, path, **options: runner.run(client.request(method, path, **options))
        runner.run(client.aclose())


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.mark.parametrize(
    ("method", "path", "least"), [("GET", "/admin/jobs", "operator"), ("DELETE", "/admin/users", "admin")]
)
@pytest.mark.parametrize("role", list(Role))
def test_a_route_lets_in_its_role_and_those_above(ask: Any, method: str, path: str, least: str, role: Role) -> None:
    answer = ask(method, path, headers=_bearer(role))
    assert answer.status_code == (200 if role.covers(Role(least)) else 403)
    if answer.status_code == 403:
        (fault,) = answer.json()["errors"]
        assert fault["type"] == "role"
        assert fault["allowed"] == f"role {'operator' if role in {Role.VIEWER, Role.DISPATCHER} else least}"


@pytest.mark.parametrize(
    "reason",
    [
        AuthErrorCode.MALFORMED,
        AuthErrorCode.UNKNOWN,
        AuthErrorCode.BAD_SIGNATURE,
        AuthErrorCode.EXPIRED,
        AuthErrorCode.NOT_YET,
        AuthErrorCode.REVOKED,
    ],
)
def test_a_bad_credential_gets_401_and_how_to_show_a_good_one(ask: Any, reason: AuthErrorCode) -> None:
    answer = ask("GET", "/admin/jobs", headers=_bearer(f"refused:{reason}"))
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["type"] == reason
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert f"refused:{reason}" not in answer.text


def test_no_credential_gets_401_without_an_error_code(ask: Any) -> None:
    answer = ask("GET", "/admin/jobs")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="vigie"')


def test_where_nobody_can_be_verified_yet_the_answer_is_503_and_when_to_come_back(ask: Any) -> None:
    answer = ask("GET", "/admin/jobs", headers=_bearer("refused:no_list"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_caller_for_other_use_cases_is_told_which(ask: Any) -> None:
    assert ask("POST", "/v1/toy", headers=_bearer("viewer")).status_code == 200
    answer = ask("POST", "/v1/other", headers=_bearer("viewer"))
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["allowed"] == "toy"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "admin"},
        {"Authorization": "Bearer"},
        {"X-API-Key": "admin"},
        {"Authorization": "Basic x", "Cookie": "vigie_session=admin"},
        {"Authorization": "Bearer wrong", "X-API-Key": "vig_x", "Cookie": "vigie_session=admin"},
        {"X-API-Key": "wrong", "Cookie": "vigie_session=admin"},
    ],
)
def test_a_wrong_credential_is_not_made_up_for_by_another(ask: Any, headers: dict[str, str]) -> None:
    assert ask("GET", "/admin/jobs", headers=headers).status_code == 401


def test_a_cookie_reads_without_more(ask: Any) -> None:
    cookies = {"Cookie": "theme=dark; vigie_session=admin; other=1"}
    assert ask("GET", "/admin/jobs", headers=cookies).status_code == 200


def test_a_cookie_changes_something_from_our_own_page(ask: Any) -> None:
    cookie = {"Cookie": f"vigie_session=admin; vigie_csrf={CSRF}"}
    assert ask("DELETE", "/admin/users", headers={**cookie, **SAME_SITE}).status_code == 200
    assert ask("DELETE", "/admin/users", headers={**cookie, "X-Vigie-CSRF": CSRF}).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Vigie-CSRF": None},
        {"X-Vigie-CSRF": ""},
        {"X-Vigie-CSRF": "d" * 43},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://elsewhere.test"},
        {"Origin": "https://vigie.test.elsewhere.test"},
        {"Origin": "https://vigie.test:8443"},
        {"Origin": "null"},
        {"Origin": "https://["},
    ],
    ids=str,
)
def test_a_cookie_changes_nothing_from_elsewhere(ask: Any, changes: dict[str, str | None]) -> None:
    given = {**SAME_SITE, **changes, "Cookie": f"vigie_session=admin; vigie_csrf={CSRF}"}
    headers = {name: value for name, value in given.items() if value is not None}
    answer = ask("DELETE", "/admin/users", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["type"] == "cross_site"


@pytest.mark.parametrize("csrf", ["", "; vigie_csrf="])
def test_without_a_csrf_cookie_an_empty_header_proves_nothing(ask: Any, csrf: str) -> None:
    headers = {"Cookie": f"vigie_session=admin{csrf}", "X-Vigie-CSRF": ""}
    assert ask("DELETE", "/admin/users", headers=headers).status_code == 403


def test_a_token_needs_no_csrf_header_because_no_browser_sends_it_by_itself(ask: Any) -> None:
    headers = {**_bearer("admin"), "Sec-Fetch-Site": "cross-site"}
    assert ask("DELETE", "/admin/users", headers=headers).status_code == 200


def test_the_document_says_which_role_a_route_requires(app: FastAPI) -> None:
    roles = {f"{method} {path}": operation["x-required-role"] for method, path, operation in operations(app)}
    assert roles == {
        "GET /open": "public",
        "GET /admin/jobs": "operator",
        "DELETE /admin/users": "admin",
        "POST /v1/toy": "viewer",
        "POST /v1/other": "viewer",
        "GET /health/live": "public",
        "GET /health/ready": "public",
        "GET /metrics": "public",
    }
    document = app.openapi()
    assert document["paths"]["/v1/toy"]["post"]["x-use-case"] == "toy"
    assert set(document["components"]["securitySchemes"]) == {"token", "key", "session"}
    assert document["paths"]["/admin/jobs"]["get"]["security"] == [{"token": []}, {"key": []}, {"session": []}]


def test_a_route_that_does_not_say_who_may_call_it_is_found(app: FastAPI) -> None:
    assert undeclared_routes(app) == []

    @app.get("/forgotten")
    async def forgotten() -> str:
        return ""

    @app.get("/hidden", include_in_schema=False)
    async def hidden() -> str:
        return ""

    app.openapi_schema = None
    assert undeclared_routes(app) == ["GET /forgotten", "hidden /hidden"]


def test_open_access_lets_everybody_in(ask: Any, app: FastAPI) -> None:
    app.state.authenticator = AllowAll()
    assert ask("DELETE", "/admin/users").status_code == 200
    assert ask("POST", "/v1/other", headers=_bearer("refused:expired")).status_code == 200
