"""The real gateway and a real prediction server: what is decided at one counts at the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.core.auth.snapshot_poller import AuthSnapshotPoller
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.gateways import PASSWORD, SERVICE_TOKEN, make_gateway, sqlite_copy, sqlite_template
from tests.servers import running
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

CALL: dict[str, Any] = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}


@dataclass
class Both:
    gateway: httpx.Client
    prediction: httpx.Client

    def sign_in(self) -> str:
        form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
        token: str = self.gateway.post("/auth/token", data=form).raise_for_status().json()["access_token"]
        return token

    def make_key(self, admin: str, **fields: Any) -> tuple[str, str]:
        """A key's id and text."""
        centre = self.gateway.get("/admin/centres", headers=_bearer(admin)).raise_for_status().json()[0]["name"]
        body = {"name": "console 3", "centre": centre, **fields}
        made = self.gateway.post("/admin/keys", json=body, headers=_bearer(admin)).raise_for_status().json()
        return made["key"]["id"], made["text"]

    def predict(self, credential: str) -> httpx.Response:
        return self.prediction.post("/v1/toy/predict", json=CALL, headers=_bearer(credential))

    def wait_for(self, status: int, credential: str, seconds: float = 10.0) -> None:
        self.until(lambda: self.predict(credential).status_code == status, seconds)

    def until(self, reached: Callable[[], bool], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end, f"not reached within {seconds} s"
            time.sleep(0.05)


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    home: Path = tmp_path_factory.mktemp("both")
    engine = sqlite_copy(sqlite_template(home), home)
    with running(make_gateway(home, engine)) as gateway_url:
        given = {
            "VIGIE_HOME": home / "prediction",
            "database_url": None,
            "gateway_url": gateway_url,
            "service_token": SERVICE_TOKEN,
            "access_poll_seconds": 0.2,
        }
        app = create_app(PredictionSettings.model_validate(given), FolderRegistry, use_cases=[USE_CASE])
        follower: AuthSnapshotPoller = app.state.authenticator
        with (
            running(app) as prediction_url,
            httpx.Client(base_url=gateway_url) as gateway,
            httpx.Client(base_url=prediction_url) as prediction,
        ):
            made = Both(gateway, prediction)
            made.until(lambda: follower.age() is not None)
            yield made
    engine.dispose()


def test_a_token_from_the_gateway_predicts_until_it_is_taken_back(both: Both) -> None:
    token = both.sign_in()
    both.wait_for(200, token)
    form = {"token": token, "token_type_hint": "access_token"}
    both.gateway.post("/auth/revoke", data=form, headers=_bearer(token)).raise_for_status()
    both.wait_for(401, token)
    assert both.predict(token).json()["errors"][0]["type"] == "revoked"
    both.wait_for(200, both.sign_in())


def test_a_key_from_the_gateway_predicts_until_it_is_revoked_and_its_uses_show(both: Both) -> None:
    admin = both.sign_in()
    key_id, text = both.make_key(admin)
    both.wait_for(200, text)

    def uses() -> int:
        keys = both.gateway.get("/admin/keys", headers=_bearer(admin)).raise_for_status().json()
        return next(int(key["uses"]) for key in keys if key["id"] == key_id)

    both.until(lambda: uses() == 1)
    both.gateway.delete(f"/admin/keys/{key_id}", headers=_bearer(admin)).raise_for_status()
    both.wait_for(401, text)


def test_a_rotated_key_and_its_successor_both_predict_meanwhile(both: Both) -> None:
    admin = both.sign_in()
    key_id, old = both.make_key(admin)
    answer = both.gateway.post(f"/admin/keys/{key_id}/rotate", json={"overlap_hours": 1}, headers=_bearer(admin))
    new = answer.raise_for_status().json()["text"]
    both.wait_for(200, new)
    assert both.predict(old).status_code == 200


def test_a_viewers_key_is_told_which_role_it_lacks(both: Both) -> None:
    _, text = both.make_key(both.sign_in(), role="viewer")
    both.wait_for(403, text)
    assert both.predict(text).json()["errors"][0]["allowed"] == "role dispatcher"
    assert both.prediction.get("/v1/use-cases", headers=_bearer(text)).status_code == 200


def test_a_compromised_signing_key_opens_nothing_any_more(both: Both) -> None:
    stolen, admin = both.sign_in(), both.sign_in()
    both.wait_for(200, stolen)
    rotation = {"compromised": True}
    both.gateway.post("/admin/signing-keys/rotate", json=rotation, headers=_bearer(admin)).raise_for_status()
    both.wait_for(401, stolen)
    both.wait_for(200, both.sign_in())
