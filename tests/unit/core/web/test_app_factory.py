"""What every web service has in common."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy.exc import OperationalError

from services.core.errors import ConflictError, NotFoundError, UnavailableError, VigieError
from services.core.web.app_factory import create_service_app
from services.core.web.authentication import SERVICE
from services.core.web.errors import http_error
from services.core.web.service_auth import GatewayPrincipal, require_service_token
from tests.installed_packages import forget, install

TOKEN = "t" * 32
SECRET = "Jeanne, 12 rue des Lilas"


class Form(BaseModel):
    amount: float = Field(le=10)
    town: str = "Dax"


ERRORS = {
    "wrong": VigieError("It is wrong.", expected="something right", action="Mend it."),
    "absent": NotFoundError("It is not there."),
    "clash": ConflictError("It does not fit."),
    "away": UnavailableError("It does not answer."),
    "refused": http_error(418, "teapot", "No.", headers={"X-Why": "tea"}),
    "database": OperationalError(f"SELECT {SECRET}", {}, Exception(SECRET)),
    "broken": RuntimeError(SECRET),
}


def _app() -> FastAPI:
    state: dict[str, Any] = {"ready": True}

    def ready() -> dict[str, Any]:
        if not state["ready"]:
            raise UnavailableError("The database does not answer.")
        return {"queued": 3}

    app = create_service_app(
        service="trial", title="Trial", docs="/trial/docs", ready=ready, body_limit_kb=1, service_token=SecretStr(TOKEN)
    )
    app.state.trial = state
    router = APIRouter(prefix="/things")

    @router.post("/{name}/forms", tags=["things"], summary="Send a form")
    def forms(name: str, form: Form) -> dict[str, str]:
        structlog.get_logger().info("inside")
        return {"town": form.town}

    @router.get("/errors/{name}")
    def errors(name: str) -> None:
        raise ERRORS[name]

    @router.get("/owner", openapi_extra=dict(SERVICE))
    def owner(caller: GatewayPrincipal) -> dict[str, str]:
        return {"id": caller.id, "name": caller.name}

    app.include_router(router)
    return app


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return _app()


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    app.state.trial["ready"] = True
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_an_answer_carries_the_callers_request_id_if_it_is_sane(client: TestClient) -> None:
    assert client.get("/health/live", headers={"X-Request-Id": "call-7"}).headers["x-request-id"] == "call-7"
    given = client.get("/health/live", headers={"X-Request-Id": "a b\t<script>"}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{24}", given)


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("wrong", 400, "bad_request"),
        ("absent", 404, "not_found"),
        ("clash", 409, "conflict"),
        ("away", 503, "service_unavailable"),
        ("refused", 418, "teapot"),
        ("database", 503, "service_unavailable"),
        ("broken", 500, "internal"),
    ],
)
def test_failures_have_one_shape_and_show_no_internals(client: TestClient, name: str, status: int, kind: str) -> None:
    with structlog.testing.capture_logs():  # drawing a traceback takes longer than all else
        answer = client.get(f"/things/errors/{name}")
    body = answer.json()
    assert answer.status_code == status
    assert set(body) == {"errors", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["errors"][0]["type"] == kind
    assert SECRET not in answer.text


def test_a_compressed_body_is_refused_by_its_encoding(client: TestClient) -> None:
    answer = client.post(
        "/things/x/forms", content=gzip.compress(b'{"amount": 1}'), headers={"Content-Encoding": "gzip"}
    )
    [told] = answer.json()["errors"]
    assert (answer.status_code, told["field"], told["type"]) == (415, "Content-Encoding", "content_encoding")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_monitors_may_ask_with_head(client: TestClient, path: str) -> None:
    assert client.head(path).status_code == 200


def test_an_error_for_people_keeps_its_three_sentences(client: TestClient) -> None:
    [told] = client.get("/things/errors/wrong").json()["errors"]
    assert (told["reason"], told["allowed"], told["action"]) == ("It is wrong.", "something right", "Mend it.")


def test_unknown_paths_and_methods_are_told_in_the_same_shape(client: TestClient) -> None:
    assert client.get("/nothing").json()["errors"][0]["type"] == "not_found"
    wrong = client.delete("/things/owner")
    assert (wrong.status_code, wrong.json()["errors"][0]["type"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET"


@pytest.mark.parametrize("amount", [f'"{SECRET}"', "NaN", "1e9", "null"])
def test_a_body_that_does_not_validate_is_refused_without_echo(client: TestClient, amount: str) -> None:
    sent = f'{{"amount": {amount}, "town": "{SECRET}"}}'
    answer = client.post("/things/a/forms", content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "amount"
    assert SECRET not in answer.text


def test_a_body_beyond_the_limit_is_refused_however_it_comes(client: TestClient) -> None:
    body = b'{"amount": 1, "town": "' + b"x" * 2_000 + b'"}'
    kind = {"Content-Type": "application/json"}
    assert client.post("/things/a/forms", content=body, headers=kind).status_code == 413
    chunks = (body[start : start + 100] for start in range(0, len(body), 100))
    answer = client.post("/things/a/forms", content=chunks, headers=kind)
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (413, "body_too_large")


def test_each_request_leaves_one_line_with_its_route_and_nothing_that_was_said(client: TestClient) -> None:
    with structlog.testing.capture_logs() as lines:
        client.post("/things/secret-name/forms?q=secret-query", json={"amount": 1, "town": SECRET})
    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/things/{name}/forms", 200)
    assert line["milliseconds"] >= 0
    assert line["request_id"]
    assert not re.search("secret|Jeanne", str(line))


def test_lines_logged_inside_a_request_carry_its_id(client: TestClient) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        client.post("/things/a/forms", json={"amount": 1}, headers={"X-Request-Id": "call-8"})
    assert next(line for line in lines if line["event"] == "inside")["request_id"] == "call-8"


def test_a_failure_is_logged_with_status_and_request_id(client: TestClient) -> None:
    with structlog.testing.capture_logs() as lines:
        client.get("/things/errors/broken", headers={"X-Request-Id": "call-9"})
    assert {(line["event"], line.get("status"), line["request_id"]) for line in lines} == {
        ("request failed", None, "call-9"),
        ("request", 500, "call-9"),
    }


def test_health_is_quiet_public_and_tells_what_is_wrong(app: FastAPI, client: TestClient) -> None:
    with structlog.testing.capture_logs() as lines:
        assert client.get("/health/live").json() == {"status": "alive"}
        assert client.get("/health/ready").json() == {"status": "ready", "queued": 3}
        app.state.trial["ready"] = False
        away = client.get("/health/ready")
    assert (away.status_code, away.json()["errors"][0]["reason"]) == (503, "The database does not answer.")
    assert client.get("/health/live").status_code == 200
    assert lines == []


def test_requests_are_counted_by_route_and_unknown_paths_together(client: TestClient) -> None:
    client.post("/things/unheard-of/forms", json={"amount": 1})
    client.get("/nothing/unheard-of")
    told = client.get("/metrics").text
    assert re.search(r'http_requests_total\{handler="/things/\{name\}/forms",method="POST",status="2xx"\}', told)
    assert "unheard-of" not in told


def test_two_services_in_one_process_count_apart() -> None:
    assert _app().state.metrics is not _app().state.metrics


def test_the_documentation_page_is_swagger_ui_and_asks_no_other_host(client: TestClient) -> None:
    page = client.get("/trial/docs")
    addresses = re.findall(r'(?:src|href|data-openapi)="([^"]+)"', page.text)
    assert len(addresses) == 6
    for address in addresses:
        assert address.startswith("/trial/")
        assert client.get(address).status_code == 200, address
    assert not re.search(r"https?:|//|@import|<style|<script>|style=", page.text.removeprefix("<!doctype html>"))
    assert "SwaggerUIBundle" in client.get("/trial/docs/swagger-ui-bundle.js").text
    started = client.get("/trial/docs/start.js").text
    assert "validatorUrl: null" in started, "the validator is another host's"
    assert not re.search("https?:", started)


def test_the_documentation_page_may_run_the_services_own_files_alone(client: TestClient) -> None:
    policy = client.get("/trial/docs").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self'" in policy


@pytest.mark.parametrize("name", ["nothing.js", "__init__.py", "..%2f__init__.py"])
def test_the_documentation_page_has_its_own_files_alone(client: TestClient, name: str) -> None:
    assert client.get(f"/trial/docs/{name}").status_code == 404


def test_the_document_says_which_role_each_route_requires(client: TestClient) -> None:
    assert client.get("/trial/openapi.json").json()["paths"]["/things/owner"]["get"]["x-required-role"] == "service"


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"]
)
def test_without_the_services_credential_nobody_gets_in(client: TestClient, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    answer = client.get("/things/owner", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_service_says_who_it_is_and_for_whom_it_calls(client: TestClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Vigie-Service": "gateway"}
    with structlog.testing.capture_logs() as lines:
        assert client.get("/things/owner", headers=headers).json() == {"id": "gateway", "name": "gateway"}
        answer = client.get("/things/owner", headers={**headers, "X-Vigie-On-Behalf-Of": "jeanne"})
    assert answer.json() == {"id": "gateway", "name": "jeanne"}
    assert (lines[0]["caller_kind"], lines[0]["caller_id"]) == ("service", "gateway")


def test_a_service_that_was_given_no_token_lets_nobody_in(client: TestClient, app: FastAPI) -> None:
    app.state.service_token = None
    try:
        for given in ("Bearer ", "Bearer None", f"Bearer {TOKEN}"):
            assert client.get("/things/owner", headers={"Authorization": given}).status_code == 401
    finally:
        app.state.service_token = SecretStr(TOKEN)


def test_a_service_without_a_credential_does_not_start() -> None:
    with pytest.raises(VigieError, match="no credential"):
        require_service_token(None)


def test_a_use_case_that_was_left_out_is_told_of_in_health_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "vigie-nothing", {"nothing": "there_is_no_such_package"})
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    with TestClient(create_service_app(service="trial", title="Trial", docs="/trial/docs")) as client:
        assert client.get("/health/ready").json() == {"status": "ready", "skipped_use_cases": ["nothing"]}
        assert "vigie_skipped_use_cases 1.0" in client.get("/metrics").text
    monkeypatch.undo()
    forget()
