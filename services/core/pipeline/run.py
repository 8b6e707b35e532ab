"""One run of the pipeline: a workspace, the stages, and a new published state or none."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from services.core.errors import VigieError
from services.core.params import Params
from services.core.paths import VigiePaths
from services.core.pipeline.dvc_runner import run_dvc
from services.core.pipeline.run_lock import run_lock
from services.core.pipeline.workspace import create_workspace, prune_states, publish_state, write_params
from services.core.settings import CHECKOUT
from services.core.steps import STAGES

MAX_LOGS = 20


def run_stages(
    home: VigiePaths,
    use_case: str,
    last_stage: str,
    *,
    prepare: Callable[[Path], None] | None = None,
    progress: Callable[[str], None] | None = None,
    output: Callable[[str], None] | None = None,
    started: Callable[[int], None] | None = None,
    root: Path = CHECKOUT,
    parameters: Params | None = None,
    wait_seconds: float | None = None,
    keep_scratch: bool = False,
) -> Path:
    """Run the DVC stages of ``use_case`` up to ``last_stage`` and publish what they made.

    ``prepare`` gets the workspace before the stages run; that is where raw files are acquired.
    ``progress`` hears lines such as ``"train: running"`` and ``"ingest: unchanged"``, ``output`` every line
    that DVC and the stages print, which ``logs/runs`` keeps as well. ``started`` gets the id of DVC's process
    group as soon as it runs, for whoever may have to end it. ``root`` is the checkout whose code,
    stages and parameters are run; ``parameters`` take the place of its params.yaml.
    Runs of one use case take turns: without ``wait_seconds`` this one waits as long as it takes.

    Returns the published state: the new one, or the current one if nothing has changed. Whatever
    happens, readers of ``home.current(use_case)`` see one state or the other.

    Raises:
        VigieError: a stage failed (its own words), or another run did not end in time. The published
            state is as it was; the workspace is kept below ``home.scratch`` until the next run.
    """
    if last_stage not in STAGES:
        raise VigieError(f"There is no stage {last_stage!r}.", expected="one of " + ", ".join(STAGES))
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"
    log = structlog.get_logger().bind(use_case=use_case, run=run_id)
    with run_lock(home, use_case, f"run {run_id}", wait_seconds=wait_seconds, progress=progress) as mine:
        begun = time.perf_counter()
        _clear_scratch(home, use_case)
        workspace = home.scratch / f"{use_case}-{run_id}"
        workspace.mkdir(parents=True)

        def runs(process_id: int) -> None:
            mine.runs(process_id)
            if started is not None:
                started(process_id)

        try:
            create_workspace(home, use_case, workspace, root)
            if parameters is not None:
                write_params(workspace, parameters.including(use_case))
            if prepare is not None:
                prepare(workspace)
            log.info("workspace ready", seconds=_seconds_since(begun))
            run_dvc(
                home,
                workspace,
                ["repro", f"{last_stage}@{use_case}"],
                log=_log_file(home, use_case, run_id),
                progress=progress,
                output=output,
                started=runs,
                inherit=(mine.descriptor,),
            )
        except BaseException as error:
            log.warning("run failed", error=type(error).__name__, seconds=_seconds_since(begun))
            raise
        state = _publish_if_new(home, use_case, workspace, run_id)
        log.info("run finished", published=state.name == run_id, seconds=_seconds_since(begun))
        if not keep_scratch:
            shutil.rmtree(workspace, ignore_errors=True)
        return state


def _publish_if_new(home: VigiePaths, use_case: str, workspace: Path, run_id: str) -> Path:
    """The same lock file says that all inputs and outputs are the same."""
    current = home.current(use_case)
    if current.exists() and (current / "dvc.lock").is_file():
        state = current.resolve()
        if (state / "dvc.lock").read_bytes() == (workspace / "dvc.lock").read_bytes():
            prune_states(home, use_case)
            return state
    return publish_state(home, use_case, workspace, run_id)


def _clear_scratch(home: VigiePaths, use_case: str) -> None:
    """What earlier runs of this use case left behind, which this run's turn makes nobody's."""
    if home.scratch.is_dir():
        for path in home.scratch.glob(f"{use_case}-*"):
            shutil.rmtree(path, ignore_errors=True)


def _log_file(home: VigiePaths, use_case: str, run_id: str) -> Path:
    folder = home.logs / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob(f"{use_case}-*.log"))[: -MAX_LOGS + 1]:
        old.unlink(missing_ok=True)
    return folder / f"{use_case}-{run_id}.log"


def _seconds_since(started: float) -> float:
    return round(time.perf_counter() - started, 2)
