"""Runs the pipeline of a use case in a workspace; publishes a new state or leaves the old one."""

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
    """Run the DVC stages of ``use_case`` up to ``last_stage`` and publish their outputs.

    ``prepare`` is called with the workspace before the stages; raw files are acquired there. ``progress`` receives
    lines such as ``"train: running"`` and ``"ingest: unchanged"``, ``output`` every line printed by DVC and the stages,
    which is also written to ``logs/runs``. ``started`` receives the id of DVC's process group, for a caller that may
    have to terminate it. ``root``: the checkout with code, stages and parameters; ``parameters`` replace its
    params.yaml. Runs of one use case are serialized; without ``wait_seconds`` there is no timeout.

    Returns the published state: the new one, or the current one if nothing has changed. Readers of
    ``home.current(use_case)`` always see one complete state.

    Raises:
        VigieError: a stage failed (with its own message), or another run did not end in time. The published state is
            unchanged; the workspace stays below ``home.scratch`` until the next run.
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
    """Publish unless the lock file is unchanged, which means that all inputs and outputs are the same."""
    current = home.current(use_case)
    if current.exists() and (current / "dvc.lock").is_file():
        state = current.resolve()
        if (state / "dvc.lock").read_bytes() == (workspace / "dvc.lock").read_bytes():
            prune_states(home, use_case)
            return state
    return publish_state(home, use_case, workspace, run_id)


def _clear_scratch(home: VigiePaths, use_case: str) -> None:
    """Delete workspaces of earlier runs of this use case, which this run's lock makes obsolete."""
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
