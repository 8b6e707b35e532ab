"""The one walk of the steps, for the command line, the gateway and Airflow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from services.core.jobs.client import ServiceRequest
from services.core.jobs.options import IngestOptions
from services.core.jobs.walk import (
    RETRAINING_STEPS,
    Job,
    JobServiceExecutor,
    StepProgress,
    advance,
    new_steps,
    next_action,
    run_blocking,
    step_error,
)

PASSED = {"version": 3, "promote": True, "reasons": ["better"]}
REFUSED = {"version": 3, "promote": False, "reasons": ["2 s worse"]}


class Executor:
    """Ends each step at once; ``results``: step -> its result, or the state that it ends in."""

    def __init__(self, **results: Any) -> None:
        self.results, self.run = results, dict[str, Mapping[str, Any]]()

    async def execute(self, progress: StepProgress, options: Mapping[str, Any]) -> Job:
        name = progress["step"]
        self.run[name] = options
        result = self.results.get(name, {})
        if isinstance(result, str):
            return {"id": name, "state": result, "error": {"problem": "It broke.", "action": "Mend it."}}
        return {"id": name, "state": "succeeded", "result": result}


def walked(executor: Executor, options: Mapping[str, Any]) -> tuple[str, list[StepProgress]]:
    steps = new_steps(RETRAINING_STEPS, options)
    while (action := run_blocking(advance(steps, options, executor))).kind == "run":
        pass
    return action.kind, steps


def test_all_steps_are_run_in_order_with_the_options_of_the_run() -> None:
    executor = Executor(gate=PASSED)
    assert walked(executor, {"source": "simulator", "force": True})[0] == "succeeded"
    assert tuple(executor.run) == RETRAINING_STEPS
    assert executor.run["ingest"] == {"source": "simulator", "fresh": False}
    assert executor.run["gate"] == {"force": True}
    assert executor.run["promote"] == {"approved": 3}, "what the gate judged, and nothing newer"


def test_what_a_person_confirmed_goes_with_the_ingestion_and_nothing_where_nothing_is_confirmed() -> None:
    executor = Executor(gate=PASSED)
    walked(executor, {"source": "auto", "confirm": "v1a2b3c4"})
    assert executor.run["ingest"] == {"source": "auto", "fresh": False, "confirm": "v1a2b3c4"}


@pytest.mark.parametrize("codes", ["", "v1a2b3c4", " v1a2b3c4, v0000000 "])
def test_codes_to_confirm_are_those_of_refusals(codes: str) -> None:
    assert IngestOptions(confirm=codes).confirm == codes


@pytest.mark.parametrize("codes", ["yes", "all", "v1a2b3c4 v0000000", "v1a2b3", "1a2b3c4d"])
def test_nothing_else_confirms(codes: str) -> None:
    with pytest.raises(ValidationError):
        IngestOptions(confirm=codes)


def test_without_a_source_nothing_is_ingested() -> None:
    executor = Executor(gate=PASSED)
    walked(executor, {"source": "none"})
    assert tuple(executor.run) == RETRAINING_STEPS[1:]


def test_what_the_gate_refuses_is_not_promoted_and_the_reasons_are_noted() -> None:
    executor = Executor(gate=REFUSED)
    kind, steps = walked(executor, {})
    assert (kind, "promote" in executor.run) == ("succeeded", False)
    assert (steps[-1]["state"], steps[-1]["result"]) == ("skipped", {"reasons": ["2 s worse"]})


def test_where_a_person_approves_the_walk_waits_before_the_promotion() -> None:
    executor = Executor(gate=PASSED)
    kind, steps = walked(executor, {"require_approval": True})
    assert (kind, "promote" in executor.run) == ("await_approval", False)
    assert next_action(steps, {"require_approval": True, "approved_by": "ada"}).kind == "run"


def test_nobody_is_asked_to_approve_what_the_gate_refused() -> None:
    assert walked(Executor(gate=REFUSED), {"require_approval": True})[0] == "succeeded"


@pytest.mark.parametrize("state", ["failed", "cancelled", "interrupted"])
def test_a_step_that_fails_ends_the_walk_with_its_reason(state: str) -> None:
    executor = Executor(train=state)
    kind, steps = walked(executor, {})
    assert (kind, list(executor.run)) == ("failed", ["ingest", "preprocess", "train"])
    error = step_error(steps[2])
    assert (error.problem, error.action) == ("train: It broke.", "Mend it.")


def test_a_run_that_was_stored_by_release_0_1_0_goes_on_where_it_stopped() -> None:
    steps = [
        {"step": "train", "service": "training", "state": "succeeded", "job_id": "a", "result": {}, "error": None},
        {"step": "gate", "service": "training", "state": "running", "job_id": "b"},
        {"step": "promote", "service": "training", "state": "waiting"},
    ]
    action = next_action(steps, {})
    assert (action.kind, action.step["step"]) == ("run", "gate")


def test_a_job_of_a_service_is_submitted_once_then_looked_at_and_rerun_where_it_was_interrupted() -> None:
    requests: list[ServiceRequest] = []
    answers = iter(
        [
            {"id": "j", "state": "running", "attempts": 1},
            {"id": "j", "state": "interrupted", "attempts": 2},
            {"id": "j", "state": "queued", "attempts": 2},
            {"id": "j", "state": "interrupted", "attempts": 3},
        ]
    )

    async def call(_: str, request: ServiceRequest) -> Job:
        requests.append(request)
        return next(answers)

    executor = JobServiceExecutor(call, "toy", lambda name: f"run-1:{name}", on_behalf_of="ada")
    steps = new_steps(["train"], {})
    kinds = [run_blocking(advance(steps, {}, executor)).kind for _ in range(3)]
    assert [f"{request.method} {request.path}" for request in requests] == [
        "POST /jobs",
        "GET /jobs/j",
        "POST /jobs/j/retry",
        "GET /jobs/j",
    ]
    assert requests[0].json is not None
    assert requests[0].json["idempotency_key"] == "run-1:train"
    assert [request.on_behalf_of for request in requests if request.method == "POST"] == ["ada", "ada"]
    assert kinds == ["run", "run", "failed"], "after two more tries a person has to look"


def test_an_executor_that_waits_for_an_event_loop_is_no_executor_of_the_command_line() -> None:
    class Waiting:
        async def execute(self, progress: StepProgress, options: Mapping[str, Any]) -> Job:  # noqa: ARG002
            await asyncio.sleep(0)
            raise AssertionError

    with pytest.raises(RuntimeError, match="waits for an event loop"):
        run_blocking(advance(new_steps(["train"], {}), {}, Waiting()))
