"""The one walk of the steps, shared by the command line, the gateway and Airflow: what is due next, and how to run it.

A step's progress is the JSON stored with runs: ``step``, ``service`` and ``state`` and, once it was started,
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
"""Maximum reruns of a job that was interrupted by the end of its service."""


def new_steps(names: Sequence[str], options: Mapping[str, Any]) -> list[StepProgress]:
    """Create the steps of a new run; without a source, ingestion is omitted."""
    return [
        {"step": name, "service": JOBS[name].service, "state": "waiting"}
        for name in names
        if name != "ingest" or options.get("source") != NO_SOURCE
    ]


RETRAINING_STEPS: tuple[str, ...] = tuple(step.name for step in STEPS)


def job_options(step: str, options: Mapping[str, Any], gate_result: Mapping[str, Any]) -> dict[str, Any]:
    """Derive the options of the step's job from the run's ``options``."""
    match step:
        case "ingest":
            chosen = {"source": options.get("source", "auto"), "fresh": options.get("fresh") or False}
            return chosen | ({"confirm": options["confirm"]} if options.get("confirm") else {})
        case "gate":
            return {"force": options.get("force") or False}
        case "promote":
            # The judged and approved version, not a newer candidate.
            return {"approved": gate_result["version"]}
    return {}


@dataclass(frozen=True, slots=True)
class NextAction:
    """What to do next. ``step``: the one to run, the one that failed or, for ``await_approval``, the one that waits."""

    kind: Literal["run", "await_approval", "succeeded", "failed"]
    step: StepProgress


def next_action(steps: Sequence[StepProgress], options: Mapping[str, Any]) -> NextAction:
    """Decide what follows from the progress of a run's steps. A promotion that the gate rejected is marked as skipped,
    with the gate's reasons."""
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
    """Return the gate's decision; empty if it has not run."""
    return next((step.get("result") or {} for step in steps if step["step"] == "gate"), {})


class StepExecutor(Protocol):
    """Runs steps: in this process, or as jobs of the stage services."""

    async def execute(self, progress: StepProgress, options: Mapping[str, Any]) -> Job:
        """Start the step or, if it was started, poll it; return its job."""
        ...


class JobServiceExecutor:
    """Runs steps as jobs of the stage services.

    Args:
        call: sends a request to the service of a step.
        key: maps a step's name to the idempotency key of its job.
        wait_seconds: long-poll duration of one request for a job.
        rerun: whether an ended job is rerun; by default if it was interrupted, at most ``MAX_JOB_RETRIES`` times.
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
    """Start or poll a step and store its state in its progress."""
    job = await executor.execute(step, options)
    step |= {"job_id": job["id"], "state": job["state"]}
    if job["state"] in FINAL_STATES:
        step |= {"result": job.get("result"), "error": job.get("error")}
    return job


async def advance(steps: Sequence[StepProgress], options: Mapping[str, Any], executor: StepExecutor) -> NextAction:
    """Run or poll the step that is due; return what follows."""
    action = next_action(steps, options)
    if action.kind == "run":
        name = str(action.step["step"])
        await run_step(action.step, job_options(name, options, gate_result(steps)), executor)
        action = next_action(steps, options)
    return action


def step_error(step: StepProgress) -> VigieError:
    """Return the error of a failed step."""
    error = step.get("error") or {"problem": f"The job was {step['state']}."}
    details = {name: str(error.get(name) or "") for name in ("expected", "action")}
    return VigieError(f"{step['step']}: {error.get('problem', '')}", **details)


def run_blocking(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a coroutine that never awaits an event loop, and return its result."""
    try:
        work.send(None)
    except StopIteration as done:
        result: ResultT = done.value
        return result
    raise RuntimeError("The executor waits for an event loop.")
