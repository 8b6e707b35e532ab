"""What a person or a dispatch centre does with the running platform, through the edge alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from services.core import use_case_registry
from services.core.contract.use_case import example_request

T = TypeVar("T")

USE_CASES = ("fire_response", "road_accidents")


def wait_for(what: str, found: Callable[[], T | None], *, seconds: float, every: float = 1.0) -> T:
    """The first thing that ``found`` finds; an assertion fails with what it saw last."""
    end = time.monotonic() + seconds
    seen: object = None
    while time.monotonic() < end:
        try:
            value = found()
            if value:
                return value
            seen = value
        except (httpx.HTTPError, AssertionError, KeyError) as error:
            seen = error
        time.sleep(every)
    raise AssertionError(f"{what} did not come within {seconds:.0f} s; last seen: {seen!r}")


@dataclass
class Platform:
    """Signed in as ``user``; the token is renewed when it is about to end."""

    address: str
    user: str
    password: str
    _client: httpx.Client = field(init=False)
    _token: str = ""
    _until: float = 0.0

    def __post_init__(self) -> None:
        self._client = httpx.Client(base_url=self.address, timeout=30.0)

    def close(self) -> None:
        self._client.close()

    def token(self) -> str:
        if time.monotonic() > self._until:
            form = {"grant_type": "password", "username": self.user, "password": self.password}
            answer = self._client.post("/auth/token", data=form)
            assert answer.status_code == 200, answer.text
            self._token, self._until = answer.json()["access_token"], time.monotonic() + 300
        return self._token

    def ask(
        self,
        method: str,
        path: str,
        *,
        expect: int | tuple[int, ...] = (200, 201, 202, 204),
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Any:
        signed_in = {"Authorization": f"Bearer {self.token()}", **(headers or {})}
        answer = self._client.request(method, path, headers=signed_in, **more)
        expected = (expect,) if isinstance(expect, int) else expect
        assert answer.status_code in expected, f"{method} {path}: {answer.status_code} {answer.text[:2_000]}"
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else answer.text

    def with_key(
        self, key: str, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """The same platform, asked by a dispatch centre with its API key."""
        return self._client.request(method, path, headers={"X-API-Key": key, **(headers or {})}, **more)

    def anonymous(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._client.request(method, path, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
        return self.ask("POST", path, json=body or {}, **more)

    def state_of(self, run: str, *states: str) -> dict[str, Any] | None:
        """The retraining ``run`` once it is in one of ``states``."""
        found: dict[str, Any] = self.get(f"/admin/retrainings/{run}")
        ended = found["state"] in {"succeeded", "failed", "rejected"}
        assert found["state"] in states or not ended, f"the retraining {found['state']}: {found}"
        return found if found["state"] in states else None


def example_calls() -> list[dict[str, Any]]:
    """A prediction of each use case, made of its own documented example."""
    return [
        {"path": f"/v1/{name}/predict", "body": example_request(use_case_registry.get(name).serving.request)}
        for name in USE_CASES
    ]


def champion_of(platform: Platform, use_case: str) -> str:
    """The version that prediction says it serves, or "" while the baseline answers."""
    listed = {item["name"]: item for item in platform.get("/v1/use-cases")}
    found: str = listed[use_case]["model_version"]
    return found if listed[use_case]["source"] == "champion" else ""
