"""A prediction server follows a gateway over HTTP, and goes on by itself when the gateway is down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends
from pydantic import SecretStr
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from services.core.auth.credentials import ApiKey, SigningKeyRing, generate_api_key, issue_token
from services.core.auth.principal import Principal, Role
from services.core.auth.snapshot import ApiKeyEntry, AuthSnapshotDocument, SnapshotFile
from services.core.auth.snapshot_poller import ApiKeyUsage
from services.core.paths import VigiePaths
from services.core.web.app_factory import create_service_app
from services.core.web.authentication import SERVICE
from services.core.web.service_auth import admits
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.servers import running
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

CALL: dict[str, Any] = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}
TOKEN = "the-token-of-the-platforms-services"
POLL_SECONDS = 0.2
PredictionPrincipal = Annotated[Principal, Depends(admits("prediction"))]


class Gateway:
    """What prediction needs of a gateway, over HTTP. It comes back under its old address."""

    def __init__(self) -> None:
        self.signing = SigningKeyRing.of().rotated(time.time())
        self.keys: list[ApiKey] = [generate_api_key()]
        self.uses: list[ApiKeyUsage] = []
        self.refused = 0
        """Requests that this gateway answered with 401."""
        self.port = 0
        self._up = ExitStack()

    def document(self) -> AuthSnapshotDocument:
        keys = [
            ApiKeyEntry(id=key.id, sha256=key.sha256, name="k", role=Role.DISPATCHER, centre="north")
            for key in self.keys
        ]
        return AuthSnapshotDocument.model_validate(
            {"issued_at": datetime.now(UTC), "jwks": self.signing.jwks(time.time()), "keys": keys}
        )

    def start(self) -> None:
        app = create_service_app(service="gateway", title="Gateway", docs="/auth/docs", service_token=SecretStr(TOKEN))

        @app.middleware("http")
        async def count_refusals(request: Request, answer: RequestResponseEndpoint) -> Response:
            response = await answer(request)
            self.refused += response.status_code == 401
            return response

        @app.get("/internal/access-list", openapi_extra=dict(SERVICE))
        async def access_list(caller: PredictionPrincipal) -> AuthSnapshotDocument:
            assert caller.id == "prediction"
            return self.document()

        @app.post("/internal/key-usage", openapi_extra=dict(SERVICE), status_code=204)
        async def key_usage(uses: list[ApiKeyUsage], caller: PredictionPrincipal) -> None:
            assert caller.id == "prediction"
            self.uses += uses

        self.port = int(self._up.enter_context(running(app, self.port)).rpartition(":")[2])

    def stop(self) -> None:
        self._up.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def home(tmp_path: Path) -> VigiePaths:
    return VigiePaths(tmp_path / "home")


@pytest.fixture
def start(gateway: Gateway, home: VigiePaths) -> Iterator[Callable[..., str]]:
    """Starts prediction servers, which share a home; the one before is stopped, as in a restart."""
    with ExitStack() as stack:

        def server(**changes: Any) -> str:
            stack.close()
            given = {
                "VIGIE_HOME": home.root,
                "gateway_url": gateway.url,
                "service_token": TOKEN,
                "access_poll_seconds": POLL_SECONDS,
                "prediction_disk_wait_seconds": 1,
                **changes,
            }
            app = create_app(PredictionSettings.model_validate(given), FolderRegistry, use_cases=[USE_CASE])
            return stack.enter_context(running(app))

        yield server


def _call(url: str, credential: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/toy/predict", json=CALL, headers={"Authorization": f"Bearer {credential}"})


def _wait_for(status: int, url: str, credential: str, seconds: float = 10.0) -> float:
    """Seconds until a call is answered with ``status``."""
    began = time.monotonic()
    while (answer := _call(url, credential)).status_code != status:
        assert time.monotonic() < began + seconds, f"still {answer.status_code}: {answer.text}"
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_key_works_until_it_is_revoked_and_then_no_longer_than_a_few_looks(
    gateway: Gateway, start: Callable[..., str]
) -> None:
    url = start()
    key = gateway.keys[0]
    _wait_for(200, url, key.text)
    gateway.keys.clear()
    # In production the same number of looks, ten seconds apart, is within the promised minute.
    assert _wait_for(401, url, key.text) < 5 * POLL_SECONDS


def test_a_key_made_a_moment_ago_works_long_before_the_next_regular_look(
    gateway: Gateway, start: Callable[..., str]
) -> None:
    url = start(access_poll_seconds=30)
    _wait_for(200, url, gateway.keys[0].text)
    before = _failed_calls(url)
    gateway.keys.append(generate_api_key())
    first = _call(url, gateway.keys[1].text)
    assert (first.status_code, first.headers["retry-after"]) == (503, "2"), "a new key was refused as if revoked"
    assert first.json()["errors"][0]["type"] == "unconfirmed"
    assert _wait_for(200, url, gateway.keys[1].text) < 5
    # That anybody can cause: it is no failed call in the figures from which people are woken.
    assert _failed_calls(url) == before


def _failed_calls(url: str) -> list[str]:
    series = 'vigie_call_duration_seconds_count{kind="live",outcome="failed"'
    return [line for line in httpx.get(f"{url}/metrics").text.splitlines() if line.startswith(series)]


def test_after_its_own_restart_it_answers_while_the_gateway_is_down(
    gateway: Gateway, start: Callable[..., str]
) -> None:
    _wait_for(200, start(), gateway.keys[0].text)
    caller = Principal("user", "u-1", "Ada", Role.DISPATCHER, "north")
    token, _ = issue_token(caller, gateway.signing.signer(time.time()), jti="t-1", now=time.time())
    gateway.stop()
    url = start()
    assert _call(url, gateway.keys[0].text).status_code == 200
    assert _call(url, token).status_code == 200
    # Whether this one is new nobody can tell now.
    refused = _call(url, generate_api_key().text)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")


def test_before_it_ever_reached_the_gateway_it_says_when_to_come_back_and_lets_nobody_in(
    gateway: Gateway, start: Callable[..., str]
) -> None:
    gateway.stop()
    url = start()
    answer = _call(url, gateway.keys[0].text)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "gateway" in answer.json()["errors"][0]["reason"]
    # Nothing else is needed to start: the service is ready, and says what it lacks.
    ready = httpx.get(f"{url}/health/ready")
    assert (ready.status_code, ready.json()["degraded"]) == (200, True)
    assert ready.json()["access"] == {"mode": "required", "list_age_seconds": None, "stale": True}
    gateway.start()
    _wait_for(200, url, gateway.keys[0].text)
    assert httpx.get(f"{url}/health/ready").json()["access"]["stale"] is False


def test_another_service_token_learns_nothing_and_lets_nobody_in(gateway: Gateway, start: Callable[..., str]) -> None:
    url = start(service_token="another-token-of-thirty-two-characters")
    until = time.monotonic() + 30
    while gateway.refused < 3:
        assert time.monotonic() < until, "it did not ask again"
        time.sleep(0.02)
    assert _call(url, gateway.keys[0].text).status_code == 503


def test_an_old_list_answers_calls_and_says_its_age(
    gateway: Gateway, start: Callable[..., str], home: VigiePaths
) -> None:
    old = gateway.document().model_copy(update={"issued_at": datetime.now(UTC) - timedelta(hours=1)})
    SnapshotFile(home.access_list).save(old)
    gateway.stop()
    url = start()
    assert _call(url, gateway.keys[0].text).status_code == 200
    ready = httpx.get(f"{url}/health/ready")
    assert ready.status_code == 200
    assert ready.json()["degraded"] is True
    assert ready.json()["access"]["stale"] is True
    (age,) = (
        float(line.split()[1])
        for line in httpx.get(f"{url}/metrics").text.splitlines()
        if line.startswith("vigie_access_list_age_seconds ")
    )
    assert 3_600 <= age < 3_700


def test_the_gateway_learns_how_often_a_key_was_used(gateway: Gateway, start: Callable[..., str]) -> None:
    url = start()
    key = gateway.keys[0]
    _wait_for(200, url, key.text)
    for _ in range(4):
        assert _call(url, key.text).status_code == 200
    until = time.monotonic() + 5
    while sum(use.uses for use in gateway.uses) < 5:
        assert time.monotonic() < until, gateway.uses
        time.sleep(0.05)
    assert {use.id for use in gateway.uses} == {key.id}
    assert sum(use.uses for use in gateway.uses) == 5
