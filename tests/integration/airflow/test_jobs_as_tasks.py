"""A job as a task: started once, waited for without a worker, found again, and clear about its failure."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.airflow.job_server import RUNNING, JobServer, failed, running_then, succeeded


def context(*, try_number: int = 1, **conf: Any) -> Any:
    ti = SimpleNamespace(dag_id="retrain_toy", run_id="manual__1", task_id="train", try_number=try_number, map_index=-1)
    return {"ti": ti, "dag_run": SimpleNamespace(conf=conf, triggering_user_name="ada"), "params": {}}


def task(orchestration: SimpleNamespace, **arguments: Any) -> Any:
    given = {"task_id": "train", "use_case": "toy", "step": "train", "service": "training", **arguments}
    return orchestration.job_operator.JobOperator(**given)


def run(orchestration: SimpleNamespace, operator: Any, given: Any) -> Any:
    """Execute; where that defers, let the trigger wait and resume with its event."""
    from airflow.sdk.exceptions import TaskDeferred

    try:
        return operator.execute(given)
    except TaskDeferred as deferred:
        path, arguments = deferred.trigger.serialize()
        again = getattr(orchestration.trigger, path.rpartition(".")[2])(**arguments)
        return getattr(operator, deferred.method_name)(given, fired(again))


def fired(trigger: Any) -> dict[str, Any]:
    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    payload: dict[str, Any] = asyncio.run(first())
    return payload


@pytest.fixture(autouse=True)
def _short_pauses(orchestration: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestration.job_operator, "ATTEMPTS", 3)
    monkeypatch.setattr(orchestration.job_operator, "FIRST_PAUSE", 0.01)


def test_a_job_is_submitted_with_its_options_and_its_result_is_kept(
    orchestration: SimpleNamespace, server: JobServer
) -> None:
    server.script["gate"] = [succeeded(version=3, decision="passed")]
    operator = task(orchestration, step="gate", options={"force": True})
    assert run(orchestration, operator, context()) == {"version": 3, "decision": "passed"}
    job = server.only_job()
    assert (job["use_case"], job["step"], job["options"]) == ("toy", "gate", {"force": True})


def test_the_worker_is_given_back_while_the_job_runs(orchestration: SimpleNamespace, server: JobServer) -> None:
    from airflow.sdk.exceptions import TaskDeferred

    server.script["train"] = [RUNNING]
    with pytest.raises(TaskDeferred) as deferred:
        task(orchestration).execute(context())
    path, arguments = deferred.value.trigger.serialize()
    assert path == "vigie_orchestration.trigger.JobTrigger"
    assert arguments["job_id"] == server.only_job()["id"]


def test_no_credential_is_stored_with_a_waiting_task(orchestration: SimpleNamespace, server: JobServer) -> None:
    trigger = orchestration.trigger.JobTrigger("training", "1", time.time() + 9)
    assert set(trigger.serialize()[1]) == {"service", "job_id", "deadline"}


def test_a_deferred_task_takes_the_result_when_the_job_is_done(
    orchestration: SimpleNamespace, server: JobServer
) -> None:
    server.script["train"] = [running_then(succeeded(rows=12))]
    assert run(orchestration, task(orchestration), context()) == {"rows": 12}


def test_a_retried_task_finds_its_running_job_and_starts_no_second(
    orchestration: SimpleNamespace, server: JobServer
) -> None:
    server.script["train"] = [running_then(succeeded(rows=12))]
    with contextlib.suppress(BaseException):
        task(orchestration).execute(context(try_number=1))
    assert run(orchestration, task(orchestration), context(try_number=2)) == {"rows": 12}
    assert (len(server.jobs), server.only_job()["attempts"]) == (1, 1)


@pytest.mark.parametrize("state", ["failed", "interrupted"])
def test_a_retried_task_runs_its_own_job_again(orchestration: SimpleNamespace, server: JobServer, state: str) -> None:
    from airflow.sdk.exceptions import AirflowException

    server.script["train"] = [{**failed("No."), "state": state}, succeeded(rows=7)]
    with pytest.raises(AirflowException):
        run(orchestration, task(orchestration), context(try_number=1))
    assert run(orchestration, task(orchestration), context(try_number=2)) == {"rows": 7}
    assert (len(server.jobs), server.only_job()["attempts"]) == (1, 2)


def test_another_run_is_another_job(orchestration: SimpleNamespace, server: JobServer) -> None:
    other = context()
    other["ti"].run_id = "manual__2"
    run(orchestration, task(orchestration), context())
    run(orchestration, task(orchestration), other)
    assert len(server.jobs) == 2


@pytest.mark.parametrize("run_id", ["manual__2026-11-21T13:11:14.240765+00:00", "après l'orage", "x" * 250])
def test_a_run_may_have_any_name(orchestration: SimpleNamespace, run_id: str) -> None:
    key = orchestration.job_operator.job_key("retrain_toy", run_id, "train")
    assert re.fullmatch(r"[A-Za-z0-9._:+/~-]{8,200}", key)
    assert key != orchestration.job_operator.job_key("retrain_toy", run_id + "2", "train")


def test_a_failure_says_what_was_expected_what_to_do_and_ends_with_the_jobs_log(
    orchestration: SimpleNamespace, server: JobServer
) -> None:
    from airflow.sdk.exceptions import AirflowException

    server.script["train"] = [failed("The file has no header.", log_tail="line 1\nline 2 is where it broke\n")]
    with pytest.raises(AirflowException) as told:
        run(orchestration, task(orchestration), context())
    text = str(told.value)
    assert text.startswith("train of toy failed. The file has no header.")
    assert "Expected: a file with a header" in text
    assert "What to do: Send the file again." in text
    assert text.endswith("line 2 is where it broke")


@pytest.mark.parametrize(("state", "tried_again"), [("failed", False), ("interrupted", True)])
def test_what_failed_twice_waits_for_a_person_and_what_was_interrupted_does_not(
    orchestration: SimpleNamespace, server: JobServer, state: str, tried_again: bool
) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    server.script["train"] = [{**failed("No."), "state": state}]
    with pytest.raises(AirflowException) as first:
        run(orchestration, task(orchestration), context(try_number=1))
    with pytest.raises(AirflowException) as second:
        run(orchestration, task(orchestration), context(try_number=2))
    assert not isinstance(first.value, AirflowFailException)
    assert isinstance(second.value, AirflowFailException) is not tried_again


def test_a_job_that_somebody_cancelled_is_not_tried_again(orchestration: SimpleNamespace, server: JobServer) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    server.script["train"] = [running_then({"state": "cancelled"})]
    with pytest.raises(AirflowFailException, match="was cancelled"):
        run(orchestration, task(orchestration), context())


def test_a_refusal_is_not_tried_again(
    orchestration: SimpleNamespace, server: JobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setenv("VIGIE_SERVICE_TOKEN", "x" * 40)
    with pytest.raises(AirflowFailException, match=r"status 401, which was not expected: No credential"):
        run(orchestration, task(orchestration), context())
    assert len(server.requests) == 1


def test_a_service_that_is_away_at_the_start_is_left_to_airflows_retries(
    orchestration: SimpleNamespace, server: JobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    monkeypatch.setenv("VIGIE_TRAINING_URL", "http://127.0.0.1:1")
    with pytest.raises(AirflowException, match="training service does not answer") as told:
        run(orchestration, task(orchestration), context())
    assert not isinstance(told.value, AirflowFailException)


def test_waiting_goes_on_through_a_restart_of_the_service(orchestration: SimpleNamespace, server: JobServer) -> None:
    server.script["train"] = [RUNNING]
    with contextlib.suppress(BaseException):
        task(orchestration).execute(context())
    job = server.only_job()
    waiting = orchestration.trigger.JobTrigger("training", job["id"], time.time() + 20)

    async def restart() -> dict[str, Any]:
        first = asyncio.ensure_future(anext(waiting.run()))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(0.1)
        job.update(succeeded(rows=3))
        await asyncio.to_thread(server.start)
        event: dict[str, Any] = (await first).payload
        return event

    event = asyncio.run(restart())
    assert (event["outcome"], event["job"]["result"]) == ("succeeded", {"rows": 3})


def test_a_service_that_is_starting_is_waited_for(orchestration: SimpleNamespace, server: JobServer) -> None:
    server.script["train"] = [running_then(succeeded(rows=3))]
    server.unwell = 2
    assert run(orchestration, task(orchestration), context()) == {"rows": 3}
    assert len(server.jobs) == 1


def test_an_outage_is_borne_for_a_bounded_time(
    orchestration: SimpleNamespace, server: JobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIE_TRAINING_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("VIGIE_AIRFLOW_OUTAGE_SECONDS", "0.1")
    event = fired(orchestration.trigger.JobTrigger("training", "1", time.time() + 20))
    assert event["outcome"] == "unavailable"
    assert "See that the training service runs" in event["problem"]


def test_a_job_that_takes_too_long_is_cancelled(orchestration: SimpleNamespace, server: JobServer) -> None:
    from datetime import timedelta

    from airflow.sdk.exceptions import AirflowFailException

    server.script["train"] = [RUNNING]
    with pytest.raises(AirflowFailException, match="was not done within"):
        run(orchestration, task(orchestration, time_limit=timedelta(seconds=0.1)), context())
    assert server.only_job()["state"] == "cancelled"


@pytest.mark.parametrize(("ended", "state"), [(True, "cancelled"), (False, "running")])
def test_ending_a_waiting_task_cancels_its_job_and_a_restart_of_the_triggerer_does_not(
    orchestration: SimpleNamespace, server: JobServer, monkeypatch: pytest.MonkeyPatch, ended: bool, state: str
) -> None:
    server.script["train"] = [RUNNING]
    with contextlib.suppress(BaseException):
        task(orchestration).execute(context())
    waiting = orchestration.trigger.JobTrigger("training", server.only_job()["id"], time.time() + 20)

    async def was_ended() -> bool:
        return ended

    monkeypatch.setattr(waiting, "_task_was_ended", was_ended)

    async def cancelled() -> None:
        first = asyncio.ensure_future(anext(waiting.run()))
        await asyncio.sleep(0.1)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first

    asyncio.run(cancelled())
    assert server.only_job()["state"] == state


def test_the_service_hears_who_asked(orchestration: SimpleNamespace, server: JobServer) -> None:
    run(orchestration, task(orchestration), context())
    run(orchestration, task(orchestration), context(requested_by="grace"))
    people = [headers["x-vigie-on-behalf-of"] for _, _, headers in server.requests]
    assert people == ["ada", "grace"]
    assert server.requests[0][2]["x-vigie-service"] == "airflow"


def test_a_task_that_is_not_asked_for_is_skipped(orchestration: SimpleNamespace, server: JobServer) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException):
        task(orchestration, skip_if=True).execute(context())
    assert server.jobs == {}


def test_a_huge_part_of_a_result_stays_out_of_airflows_database(
    orchestration: SimpleNamespace, server: JobServer
) -> None:
    server.script["train"] = [succeeded(rows=1, everything=["x" * 100] * 1_000)]
    assert run(orchestration, task(orchestration), context()) == {"rows": 1}


def test_buttons_lead_to_the_run_and_the_version_through_the_edge(
    orchestration: SimpleNamespace, server: JobServer
) -> None:
    server.script["train"] = [succeeded(version=3, run_id="abc")]
    operator = task(orchestration)
    run(orchestration, operator, context())
    addresses = [link.get_link(operator, ti_key=None) for link in operator.operator_extra_links]
    assert addresses == [
        "https://vigie.example/mlflow/#/runs/abc",
        "https://vigie.example/mlflow/#/models/toy/versions/3",
    ]


def test_an_approval_shows_the_decision_its_reasons_numbers_and_links(
    orchestration: SimpleNamespace, server: JobServer
) -> None:
    result = {"version": 3, "decision": "passed", "reasons": ["2 s better."], "run_id": "abc"}
    text = orchestration.approval.approval_body("toy", {**result, "metrics": {"seconds": {"mae": 61.25}}})
    for part in ("version 3", "**passed**", "- 2 s better.", "| seconds.mae | 61.25 |", "/mlflow/#/runs/abc"):
        assert part in text


def test_an_approval_that_is_not_asked_for_is_skipped(orchestration: SimpleNamespace) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    approval = orchestration.approval.PromotionApproval(
        task_id="approve", use_case="toy", title="Deliveries", gate_task="gate"
    )
    with pytest.raises(AirflowSkipException, match="needs no approval"):
        approval.execute({**context(), "params": {"require_approval": False}})
