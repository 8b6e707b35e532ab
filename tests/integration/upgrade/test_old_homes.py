"""What old releases left behind is read by today's code: models, calls, users, runs (tests/old_homes/README.md)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.core.settings import CHECKOUT
from tests.gateways import PASSWORD
from tests.prometheus_tools import free_port

ARCHIVES = CHECKOUT / "tests" / "old_homes"
RELEASES = ("0.1.0", "ff71a6a")
USE_CASE = "wine_quality"
SINGLE = [f"old-call-{number}" for number in range(6)]
IN_THE_JOURNAL = ["old-call-6", "old-call-7"]
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The old home, with today's gateway and prediction running on it."""

    home: Path
    credentials: dict[str, str]
    environment: dict[str, str]
    gateway: str
    prediction: str

    def run(self, *arguments: str, module: str = "services.cli") -> str:
        """What a command prints."""
        line = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(
            line, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, done.stderr[-3_000:]
        return done.stdout

    def versions(self) -> dict[int, list[str]]:
        """Version -> aliases, newest first."""
        return {
            item["number"]: item["aliases"] for item in json.loads(self.run("models", USE_CASE, "--json"))[USE_CASE]
        }

    def token(self, user: str) -> httpx.Response:
        form = {"grant_type": "password", "username": user, "password": self.credentials.get(user, PASSWORD)}
        return httpx.post(f"{self.gateway}/auth/token", data=form, timeout=SECONDS)

    def ask(self, path: str, user: str = "admin") -> Any:
        """Ask the gateway as a signed-in user."""
        headers = {"Authorization": f"Bearer {self.token(user).json()['access_token']}"}
        answer = httpx.get(f"{self.gateway}{path}", headers=headers, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def call(self, method: str, path: str, *, key: str = "key", **more: Any) -> httpx.Response:
        """Ask prediction with an API key."""
        headers = {"X-API-Key": self.credentials[key]}
        return httpx.request(method, f"{self.prediction}{path}", headers=headers, timeout=SECONDS, **more)

    def calls(self) -> dict[str, dict[str, Any]]:
        """Request id -> what the log has of the old single calls."""
        listed = self.call("GET", f"/v1/{USE_CASE}/predictions").json()["predictions"]
        return {item["request_id"]: item for item in listed if item["request_id"].startswith("old-call-")}


@pytest.fixture(scope="module", params=RELEASES)
def upgraded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVES / f"{request.param}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    home, ports = folder / "home", {"GATEWAY": free_port(), "PREDICTION": free_port()}
    gateway, prediction = (f"http://127.0.0.1:{port}" for port in ports.values())
    platform = Upgraded(
        home,
        json.loads((folder / "credentials.json").read_text()),
        {
            **{name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")},
            **{f"VIGIE_{part}_PORT": str(port) for part, port in ports.items()},
            "PYTHONPATH": str(CHECKOUT),
            "VIGIE_HOME": str(home),
            "VIGIE_GATEWAY_URL": gateway,
            "VIGIE_GATEWAY_FIRST_TRAINING": "false",
            "VIGIE_ACCESS_POLL_SECONDS": "0.5",
            "VIGIE_CALLS_RETENTION_DAYS": '{"default": 0}',  # the calls grow old, and are to be found
        },
        gateway,
        prediction,
    )
    platform.run("restore", str(folder / "backup"))
    secrets = [line.split("=", 1) for line in (home / "secrets.env").read_text().splitlines() if line[0] != "#"]
    platform.environment.update((name, value) for name, value in secrets)
    platform.run(module="services.core.database.migrate")
    with ExitStack() as stack:
        for part in ("gateway", "prediction"):
            stack.enter_context(_service(platform, part, folder / f"{part}.log"))
        _until_ready(platform)
        _change_first_password(platform)
        yield platform


def _change_first_password(platform: Upgraded) -> None:
    """The administrator's: these homes were made with another one than the environment's."""
    headers = {"Authorization": f"Bearer {platform.token('admin').json()['access_token']}"}
    body = {"current": PASSWORD, "new": PASSWORD[::-1]}
    httpx.post(f"{platform.gateway}/auth/password", json=body, headers=headers, timeout=SECONDS).raise_for_status()
    platform.credentials["admin"] = PASSWORD[::-1]


@contextmanager
def _service(platform: Upgraded, part: str, log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        line = [sys.executable, "-m", f"services.{part}"]
        process = subprocess.Popen(line, cwd=CHECKOUT, env=platform.environment, stdout=stream, stderr=stream)
    try:
        yield
    finally:
        process.terminate()
        process.wait(SECONDS)


def _until_ready(platform: Upgraded) -> None:
    """Until both answer, the champion serves, and the calls that waited on disk are in the database."""
    end, seen = time.monotonic() + SECONDS, ""
    while time.monotonic() < end:
        try:
            httpx.get(f"{platform.gateway}/health/ready").raise_for_status()
            listed = {item["name"]: item for item in platform.call("GET", "/v1/use-cases").raise_for_status().json()}
            if listed[USE_CASE]["source"] == "champion" and set(IN_THE_JOURNAL) <= set(platform.calls()):
                return
        except (httpx.HTTPError, KeyError) as error:
            seen = repr(error)
        time.sleep(0.2)
    logs = [path.read_text()[-2_000:] for path in sorted(platform.home.parent.glob("*.log"))]
    raise AssertionError("\n".join([f"not ready within {SECONDS:.0f} s; {seen}", *logs]))


def test_the_registry_lists_both_versions(upgraded: Upgraded) -> None:
    assert upgraded.versions() == {2: ["champion"], 1: ["previous"]}


def test_the_champion_gives_the_answers_that_were_recorded_bit_for_bit(upgraded: Upgraded) -> None:
    recorded = upgraded.calls()
    assert set(recorded) == {*SINGLE, *IN_THE_JOURNAL}
    for item in recorded.values():
        answered = upgraded.call("POST", f"/v1/{USE_CASE}/predict", json=item["request"]).json()
        assert answered["model_version"] == item["model_version"] == "2"
        assert answered["answer"] == item["answer"]


def test_the_calls_are_listed_with_their_outcomes(upgraded: Upgraded) -> None:
    recorded = upgraded.calls()
    known = {name: item["outcome"]["quality"] for name, item in recorded.items() if item["outcome"]}
    assert known == {"old-call-0": 5, "old-call-1": 6, "old-call-2": 5}
    assert recorded["old-call-3"]["incident_id"] == "bottle-3"
    batch = upgraded.call("GET", f"/v1/{USE_CASE}/predictions", params={"request_id": "old-batch"}).json()
    assert sorted(item["row_index"] for item in batch["predictions"]) == [0, 1, 2]


def test_users_sign_in_and_are_who_they_were(upgraded: Upgraded) -> None:
    me = upgraded.ask("/auth/me", "anna")
    assert (me["role"], me["centre"], me["centres"]) == ("operator", "north", "*")
    assert {user["name"] for user in upgraded.ask("/admin/users")} == {"admin", "anna"}
    assert {centre["name"] for centre in upgraded.ask("/admin/centres")} == {"default", "north"}


def test_a_key_counts_and_a_revoked_one_does_not(upgraded: Upgraded) -> None:
    assert upgraded.call("GET", "/v1/use-cases").status_code == 200
    until = time.monotonic() + SECONDS
    while (status := upgraded.call("GET", "/v1/use-cases", key="revoked_key").status_code) == 503:
        assert time.monotonic() < until, "a key that is not known yet is asked for once more"
    assert status == 401


def test_the_audit_log_is_unbroken(upgraded: Upgraded) -> None:
    report = json.loads(upgraded.run("audit", "verify", "--json"))
    assert report["intact"], report
    actions = {entry["action"] for entry in upgraded.ask("/admin/audit?limit=500")["entries"]}
    assert {"user.created", "key.revoked", "retraining.succeeded", "promotions.frozen"} <= actions


def test_runs_are_listed(upgraded: Upgraded) -> None:
    runs = upgraded.ask("/admin/retrainings")["runs"]
    assert [(run["use_case"], run["state"], run["requested_by"]) for run in runs] == [
        (USE_CASE, "succeeded", "admin"),
        (USE_CASE, "succeeded", "admin"),
    ]
    assert runs[0]["steps"][-1]["step"] == "promote"


def test_rolling_back_makes_the_older_version_serve(upgraded: Upgraded) -> None:
    """Last, because it changes what the others look at."""
    upgraded.run("rollback", USE_CASE)
    assert upgraded.versions()[1] == ["champion"]
    answered = json.loads(upgraded.run("predict", USE_CASE, "--example"))
    assert (answered["source"], answered["model_version"]) == ("champion", "1")
