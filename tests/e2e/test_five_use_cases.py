"""Each of the platform's use cases: it has trained its first model by itself, trains a second one on other files,
answers a dispatch centre, is promoted by a person and taken back. The champion at the end is the one at the start."""

from __future__ import annotations

from typing import Any

import pytest

from services.core import use_case_registry
from services.core.contract.use_case import example_request
from tests.e2e.conftest import retraining_succeeded
from tests.e2e.platform_client import Platform, champion_of, wait_for

pytestmark = pytest.mark.docker

SERVED_SECONDS = 120
UNDER_WAY = {"succeeded", "running"}
"""The gateway waits for half a minute and then tells that the job goes on; what serves in the end is looked at."""

every_use_case = pytest.mark.parametrize("use_case", use_case_registry.names())


@every_use_case
def test_it_trains_again_on_other_files(platform: Platform, second_trainings: dict[str, str], use_case: str) -> None:
    run = second_trainings.get(use_case)
    if run is not None:
        retraining_succeeded(platform, use_case, run)
    assert len(_versions(platform, use_case)) > 1, "whatever the gate decided, the version is registered"


@every_use_case
def test_it_answers_is_promoted_and_taken_back(
    platform: Platform, key: str, second_trainings: dict[str, str], use_case: str
) -> None:
    before = wait_for("its champion", lambda: champion_of(platform, use_case), seconds=SERVED_SECONDS)
    assert _answered_by(platform, key, use_case) == before
    other = next(number for number in _versions(platform, use_case) if str(number) != before)

    done = platform.post(f"/admin/models/{use_case}/promote", {"version": other, "reason": "the suite tries it"})
    assert done["state"] in UNDER_WAY, done
    _served(platform, use_case, str(other))
    assert _answered_by(platform, key, use_case) == str(other)

    done = platform.post(f"/admin/models/{use_case}/rollback", {"reason": "the suite takes it back"})
    assert done["state"] in UNDER_WAY, done
    _served(platform, use_case, before)
    assert _answered_by(platform, key, use_case) == before


def test_every_one_of_them_was_looked_at_and_none_was_left_out(platform: Platform) -> None:
    served = {item["name"] for item in platform.get("/v1/use-cases")}
    assert served == set(use_case_registry.names())
    assert len(served) >= 5


def _versions(platform: Platform, use_case: str) -> list[int]:
    return [version["number"] for version in platform.get(f"/admin/models/{use_case}")["versions"]]


def _served(platform: Platform, use_case: str, version: str) -> None:
    wait_for(f"version {version}", lambda: champion_of(platform, use_case) == version, seconds=SERVED_SECONDS)


def _answered_by(platform: Platform, key: str, use_case: str) -> str:
    """The version that answers a dispatch centre's call, which is the documented example. Replicas swap one by
    one: a call may meet the one that is a moment behind."""
    call = example_request(use_case_registry.get(use_case).serving.request)
    said: dict[str, Any] = {}

    def answered() -> str | None:
        answer = platform.with_key(key, "POST", f"/v1/{use_case}/predict", json=call)
        assert answer.status_code == 200, answer.text
        said.update(answer.json())
        same = said["model_version"] == champion_of(platform, use_case) and said["source"] == "champion"
        return str(said["model_version"]) if same else None

    return wait_for("an answer of the champion", answered, seconds=SERVED_SECONDS)
