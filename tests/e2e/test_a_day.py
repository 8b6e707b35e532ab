"""A day on the platform: people sign in, a centre asks and reports, new files come, a model is trained, approved,
promoted and taken back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.e2e.airflow_client import AirflowClient
from tests.e2e.conftest import RETRAINING_SECONDS, Retrained
from tests.e2e.platform_client import Platform, champion_of, example_calls, wait_for
from tests.e2e.stack import Stack

pytestmark = pytest.mark.docker

FIRE = "fire_response"


@pytest.fixture(scope="module")
def airflow(stack: Stack) -> Iterator[AirflowClient]:
    with closing(AirflowClient(stack)) as signed_in:
        yield signed_in


def test_a_call_without_a_key_and_with_a_wrong_one_is_refused(platform: Platform, key: str) -> None:
    call = example_calls()[0]
    assert platform.anonymous("POST", call["path"], json=call["body"]).status_code == 401

    def refused() -> bool:
        """A key that may be newer than the access list is answered 503 until the next list; never 200."""
        status = platform.with_key(key[:-1] + "x", "POST", call["path"], json=call["body"]).status_code
        assert status in {401, 503}
        return status == 401

    wait_for("the refusal of a wrong key", refused, seconds=30)


def test_a_dispatcher_may_predict_and_may_not_retrain(platform: Platform, key: str) -> None:
    call = example_calls()[0]
    assert platform.with_key(key, "POST", call["path"], json=call["body"]).status_code == 200
    refused = platform.with_key(key, "POST", "/admin/retrainings", json={"use_case": FIRE})
    assert refused.status_code in {401, 403}


def test_what_came_of_a_call_is_reported_by_the_centres_own_id(platform: Platform, key: str, trained: None) -> None:
    incident = f"inc-{uuid.uuid4().hex[:8]}"
    call = example_calls()[0]
    asked = platform.with_key(key, "POST", call["path"], json={**call["body"], "incident_id": incident})
    assert asked.status_code == 200, asked.text
    reported = platform.with_key(
        key, "POST", f"/v1/{FIRE}/outcomes", json={"incident_id": incident, "labels": {"attendance_seconds": 312}}
    )
    assert reported.status_code == 202, reported.text

    def logged() -> object:
        params = {"incident_id": incident, "has_outcome": True}
        return platform.get(f"/v1/{FIRE}/predictions", params=params)["predictions"]

    (found,) = wait_for("the outcome beside its prediction", logged, seconds=60)  # type: ignore[misc]
    assert found["outcome"]["attendance_seconds"] == 312
    table = platform.get(f"/v1/{FIRE}/predictions", params={"incident_id": incident, "format": "csv"})
    assert incident in table


def test_new_files_make_a_model_that_serves_once_a_person_has_approved_it(
    platform: Platform, retrained: Retrained
) -> None:
    wait_for("the new champion", lambda: champion_of(platform, FIRE) == str(retrained.version), seconds=60)


def test_the_retraining_is_a_run_in_airflow(airflow: AirflowClient, retrained: Retrained) -> None:
    tasks = airflow.tasks(f"retrain_{FIRE}", retrained.dag_run)
    assert set(tasks.values()) == {"success"}
    assert set(tasks) >= {"ingest", "preprocess", "train", "evaluate", "gate", "approve", "promote"}


def test_a_job_that_fails_is_a_failed_run_whose_log_says_what_to_do(airflow: AirflowClient, stack: Stack) -> None:
    run = f"no-such-folder-{uuid.uuid4().hex[:6]}"
    airflow.trigger(f"ingest_{FIRE}", run, source="/var/lib/vigie/drop/no-such-folder")
    assert airflow.finished(f"ingest_{FIRE}", run, seconds=RETRAINING_SECONDS) == "failed"
    assert airflow.tasks(f"ingest_{FIRE}", run)["ingest"] == "failed"
    said = airflow.log(f"ingest_{FIRE}", run, "ingest", attempt=2)
    assert "there is no such folder" in said
    assert "auto, official, simulator or a folder" in said
    listed = stack.query("vigie", "SELECT idempotency_key || ' ' || attempts FROM jobs")
    jobs = [line.rpartition(" ")[2] for line in listed if run in line]
    assert jobs == ["2"], "the second try ran the same job again"


def test_going_back_and_forth(
    airflow: AirflowClient, platform: Platform, retrained: Retrained, trainings_ended: None
) -> None:
    before = champion_of(platform, FIRE)
    run = f"back-{uuid.uuid4().hex[:6]}"
    airflow.trigger(f"rollback_{FIRE}", run, reason="the end-to-end suite goes back")
    assert airflow.finished(f"rollback_{FIRE}", run, seconds=180) == "success"
    wait_for("the version before", lambda: champion_of(platform, FIRE) not in {"", before}, seconds=60)

    done = platform.post(f"/admin/models/{FIRE}/promote", {"version": int(before), "reason": "and forth"})
    assert done["state"] == "succeeded", done
    wait_for("the promoted version", lambda: champion_of(platform, FIRE) == before, seconds=60)

    rolled_back = platform.post(f"/admin/models/{FIRE}/rollback", {"reason": "once more"})
    assert rolled_back["state"] == "succeeded", rolled_back
    wait_for("the version before", lambda: champion_of(platform, FIRE) not in {"", before}, seconds=60)


def test_while_promotions_are_frozen_nothing_is_promoted(
    platform: Platform, retrained: Retrained, trainings_ended: None
) -> None:
    platform.post("/admin/freeze", {"reason": "major incident"})
    try:
        frozen = platform.post(f"/admin/models/{FIRE}/promote", {"version": retrained.version}, expect=409)
        assert "major incident" in str(frozen)
    finally:
        platform.ask("DELETE", "/admin/freeze")


def test_the_audit_log_tells_who_did_what_and_is_whole(platform: Platform, stack: Stack, retrained: Retrained) -> None:
    entries = platform.get("/admin/audit", params={"limit": 200})["entries"]
    actions = {entry["action"] for entry in entries}
    assert {"key.created", "model.promoted", "model.rolled_back", "retraining.started"} <= actions
    assert "unbroken" in stack.run_in("gateway", "python", "-m", "services.gateway.maintenance", "verify-audit")
