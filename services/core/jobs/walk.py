"""The one walk of the steps: what is due next, and how it is run, for the command line, the gateway and Airflow.

A step's progress is the JSON that runs are stored with: ``step``, ``service`` and ``state`` and, once it was begun,
``job_id``, ``result`` and ``error``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from services.core.errors import VigieError
from services.core.jobs.client import FINAL_STATES, ServiceRequest, get_job, retry_job, submit_job
from services.core.steps import JOBS, NO_SOURCE, STEPS

Job = dict[str, Any]
StepProgress = dict[str, Any]
ResultT = TypeVar("ResultT")
MAX_JOB_RETRIES = 2
"""Times that a job is run again that was interrupted by its service's end."""


def new_steps(names: Sequence[str], options: Mapping[str, Any]) -> list[StepProgress]:
    """The steps of a run that has not begun; without a source nothing is ingested."""
    return [
        {"step": name, "service": JOBS[name].service, "state": "waiting"}
        for name in names
        if name != "ingest" or options.get("source") != NO_SOURCE
    ]


RETRAINING_STEPS: tuple[str, ...] = tuple(step.name for step in STEPS)


def job_options(step: str, options: Mapping[str, Any], gate_result: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the step's job in a run with these ``options``."""
    match step:
        case "ingest":
            return {"source": options.get("source", "auto"), "fresh": options.get("fresh") or False}
        case "gate":
            return {"force": options.get("force") or False}
        case "promote":
            # What was judged and approved, and no newer candidate in its place.
            return {"approved": gate_result["version"]}
    return {}


@dataclass(frozen=True, slots=True)
class NextAction:
    """``step``: the one that is run next, that failed or, for ``await_approval``, that waits."""

    kind: Literal["run", "await_approval", "succeeded", "failed"]
    step: StepProgress


def next_action(steps: Sequence[StepProgress], options: Mapping[str, Any]) -> NextAction:
    """What follows from the progress of a run's steps. A promotion that the gate does not allow is marked as
    skipped, with the gate's reasons."""
    gate = gate_result(steps)
    for step in steps:
        if step["state"] in {"succeeded", "skipped"}:
            continue
        if step["state"] in FINAL_STATES:
            return NextAction("failed", step)
        if step["step"] == "promote" and not gate.get("promote"):
            step |= {"state": "skipped", "result": {"reasons": gate.get("reasons", [])}}
            continue
        if step["step"] == "promote" and options.get("require_approval") and not options.get("approved_by"):
            return NextAction("await_approval", step)
        return NextAction("run", step)
    return NextAction("succeeded", steps[-1])


def gate_result(steps: Sequence[StepProgress]) -> dict[str, Any]:
    """What the gate decided; empty where it has not run."""
    return next((step.get("result") or {} for step in steps if step["step"] == "gate"), {})


class StepExecutor(Protocol):
    """Where steps are run: in this process, or as jobs of the stage services."""

    async def execute(self, progress: StepProgress, options: Mapping[str, Any]) -> Job:
        """Begin the step or, where it was begun, look at it again; its job as it stands now."""
        ...


class JobServiceExecutor:
    """Runs steps as jobs of the stage services.

    Args:
        call: sends a request to the service of a step.
        key: the idempotency key of a step's job; the same key again is the same job.
        wait_seconds: how long one look at a job may wait for its end.
        rerun: whether a job that has ended is run again; without it, those that were interrupted, at most
            ``MAX_JOB_RETRIES`` times.
    """

    def __init__(
        self,
        call: Callable[[str, ServiceRequest], Awaitable[Job]],
        use_case: str,
        key: Callable[[str], str],
        *,
        on_behalf_of: str = "",
        wait_seconds: float = 0.0,
        rerun: Callable[[Job], bool] | None = None,
    ) -> None:
        self._call, self._use_case, self._key = call, use_case, key
        self._on_behalf_of, self._wait, self._rerun = on_behalf_of, wait_seconds, rerun or _was_interrupted

    async def execute(self, progress: StepProgress, options: Mapping[str, Any]) -> Job:
        name = str(progress["step"])
        if "job_id" in progress:
            request = get_job(progress["job_id"], self._wait)
        else:
            request = submit_job(self._use_case, name, options, self._key(name), self._on_behalf_of)
        job = await self._call(name, request)
        if self._rerun(job):
            job = await self._call(name, retry_job(str(job["id"]), self._on_behalf_of))
        return job


def _was_interrupted(job: Job) -> bool:
    return job["state"] == "interrupted" and int(job.get("attempts") or 1) <= MAX_JOB_RETRIES


async def run_step(step: StepProgress, options: Mapping[str, Any], executor: StepExecutor) -> Job:
    """Begin a step or look at it again, and note in its progress how it stands."""
    job = await executor.execute(step, options)
    step |= {"job_id": job["id"], "state": job["state"]}
    if job["state"] in FINAL_STATES:
        step |= {"result": job.get("result"), "error": job.get("error")}
    return job


async def advance(steps: Sequence[StepProgress], options: Mapping[str, Any], executor: StepExecutor) -> NextAction:
    """Run the step that is due, or look at it again; what follows from it."""
    action = next_action(steps, options)
    if action.kind == "run":
        name = str(action.step["step"])
        await run_step(action.step, job_options(name, options, gate_result(steps)), executor)
        action = next_action(steps, options)
    return action


def step_error(step: StepProgress) -> VigieError:
    """Why a step failed."""
    error = step.get("error") or {"problem": f"The job was {step['state']}."}
    details = {name: str(error.get(name) or "") for name in ("expected", "action")}
    return VigieError(f"{step['step']}: {error.get('problem', '')}", **details)


def run_blocking(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """The result of a walk whose executor never waits for an event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        result: ResultT = done.value
        return result
    raise RuntimeError("The executor waits for an event loop.")
