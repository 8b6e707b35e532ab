"""Pipeline commands: each step from raw files to a serving model, and ``run`` for all of them in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from services.cli.commands.access import command_line_principal
from services.cli.console import (
    AsJson,
    Fresh,
    Source,
    UseCaseName,
    err,
    out,
    print_decision,
    print_json,
    print_metrics,
    step,
)
from services.core import use_case_registry as use_cases
from services.core.jobs.walk import RETRAINING_STEPS, Job, StepProgress, advance, new_steps, run_blocking
from services.core.paths import VigiePaths
from services.core.pipeline.dvc_runner import terminate_group
from services.core.settings import CHECKOUT, settings
from services.core.steps import STAGES, STEPS

if TYPE_CHECKING:
    from services.core.model_registry.version import RegisteredVersion
    from services.core.params import Params
    from services.training.gate.decision import Decision

USUAL_SECONDS = {"ingest": 10.0, "preprocess": 10.0, "train": 30.0, "evaluate": 30.0}
"""About how long it takes up to each stage with simulated data; later runs are estimated by the last one."""
PARALLEL_USE_CASES = 2
"""Use cases whose stages run in parallel, for two cores."""


def run(
    use_case: UseCaseName,
    source: Source = "auto",
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> None:
    """Run the whole chain: ingest, preprocess, train, evaluate, gate, promote."""
    result = run_chain(settings().home, use_case, source, fresh=fresh, shown=err if as_json else out)
    if as_json:
        print_json(result)


class LocalExecutor:
    """Executes the steps in this process. All stages are one DVC run, which starts with the first of them.

    Args:
        stages: runs the use case's stages, or waits for them.
    """

    def __init__(self, home: VigiePaths, use_case: str, stages: Callable[[], object]) -> None:
        self._home, self._use_case, self._stages = home, use_case, stages
        self.candidate: RegisteredVersion | None = None
        self.decision: Decision | None = None

    async def execute(self, progress: StepProgress, options: Mapping[str, Any]) -> Job:  # noqa: ARG002
        from services.core import params  # noqa: PLC0415
        from services.training import promotion  # noqa: PLC0415 - its libraries take a second

        name, result = progress["step"], dict[str, Any]()
        if name == STAGES[0]:
            self._stages()
        elif name == "gate":
            with step(f"{self._use_case}: registered and compared with the champion"):
                thresholds = params.load_params(CHECKOUT).gate
                self.candidate, self.decision = promotion.gate_and_register(self._home, self._use_case, gate=thresholds)
            result = {"version": self.candidate.number, "promote": self.decision.promote}
        elif name == "promote":
            assert self.candidate is not None
            assert self.decision is not None
            by = command_line_principal()
            promotion.promote_if_allowed(self._home, self._use_case, self.candidate, self.decision, by=by)
        return {"id": name, "state": "succeeded", "result": result}


def run_chain(
    home: VigiePaths, use_case: str, source: str, *, fresh: bool = False, shown: Console = out
) -> dict[str, Any]:
    """Run all steps in the order of ``STEPS``; returns the gate's decision and metrics. ``shown``: where tables go."""
    # Importing MLflow and creating its tables takes seconds of one core, while the first stages leave one idle.
    with ThreadPoolExecutor(1) as pool:
        registry = pool.submit(lambda: open_registry(home).prepare())

        def stages() -> None:
            run_stage(home, use_case, STAGES[-1], source=source, fresh=fresh)
            registry.result()
            print_metrics(candidate_report(home, use_case), shown)

        return walk(home, use_case, RETRAINING_STEPS, stages, shown)


def run_chains(
    home: VigiePaths, names: Sequence[str], source: str, parameters: Params | None = None
) -> Iterator[dict[str, Any]]:
    """Run the chain of each use case, in this order. The stages of two run in parallel: each leaves one of two cores
    idle half of the time. ``parameters``: instead of those in params.yaml."""
    children: list[int] = []
    with ThreadPoolExecutor(PARALLEL_USE_CASES) as pool:
        registry = pool.submit(lambda: open_registry(home).prepare())
        states = {
            name: pool.submit(
                _run_stages,
                home,
                name,
                STAGES[-1],
                source=source,
                tell=_progress_printer(f"{name}: "),
                started=children.append,
                parameters=parameters,
            )
            for name in names
        }

        def stages(name: str) -> None:
            with step(f"{name}: raw files to {STAGES[-1]}", usual=25):
                states[name].result()
                registry.result()
            print_metrics(candidate_report(home, name))

        try:
            for name in names:
                yield walk(home, name, RETRAINING_STEPS, partial(stages, name))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in children:
                terminate_group(child)
            raise


def candidate_report(home: VigiePaths, use_case: str) -> dict[str, Any]:
    """The published candidate's metrics on its test rows."""
    path = home.models(use_case) / "evaluation" / "metrics.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def gate_and_promote(home: VigiePaths, use_case: str) -> dict[str, Any]:
    """Evaluate the gate for the published candidate and promote it if the gate passes."""
    return walk(home, use_case, ("gate", "promote"), lambda: None)


def walk(
    home: VigiePaths, use_case: str, steps: Sequence[str], stages: Callable[[], object], shown: Console = out
) -> dict[str, Any]:
    """Run these steps in sequence; returns the gate's decision."""
    executor, progress = LocalExecutor(home, use_case, stages), new_steps(steps, {})
    while run_blocking(advance(progress, {}, executor)).kind == "run":
        pass
    version, decision = executor.candidate, executor.decision
    assert version is not None
    assert decision is not None
    print_decision(use_case, version, decision, shown)
    return {
        "use_case": use_case,
        "version": version.number,
        "promoted": progress[-1]["state"] == "succeeded",
        "reasons": list(decision.reasons),
    }


def preprocess(use_case: UseCaseName) -> None:
    """Make examples of the ingested tables."""
    run_stage(settings().home, use_case, "preprocess")
    manifest = json.loads((settings().home.data(use_case) / "examples" / "manifest.json").read_text())
    out.print_json(data=manifest)


def train(
    use_case: UseCaseName,
    write_found: Annotated[
        bool, typer.Option("--write-found", help="Write what the search found into params.yaml, for later trainings.")
    ] = False,
) -> None:
    """Train the models on the examples and write the candidate bundle."""
    run_stage(settings().home, use_case, "train")
    if write_found:
        _write_found(use_case, settings().home.models(use_case) / "bundle")
    out.print(str(settings().home.models(use_case) / "bundle"), markup=False)


def _write_found(use_case: str, bundle: Path) -> None:
    from services.core.bundle.manifest import read_manifest  # noqa: PLC0415
    from services.core.params import PARAMS_FILE, write_learners  # noqa: PLC0415
    from services.training.stage.hyperparameter_search import found_hyperparameters  # noqa: PLC0415

    found = found_hyperparameters(use_cases.get(use_case), read_manifest(bundle).data)
    if found:
        write_learners(CHECKOUT, use_case, found)
    out.print(f"{PARAMS_FILE}: {', '.join(found) or 'nothing found to write'}", markup=False)


def promote(
    use_case: UseCaseName,
    version: Annotated[
        int | None, typer.Argument(help="Promote this version by hand, past the gate; without it the gate decides.")
    ] = None,
) -> None:
    """Register the candidate, put it through the gate and promote it if the gate allows it."""
    home = settings().home
    if version is None:
        gate_and_promote(home, use_case)
        return
    from services.training import promotion  # noqa: PLC0415 - its libraries take a second

    champion = promotion.promote(home, use_case, version, by=command_line_principal()).champion
    out.print(f"Version {champion.number} of {use_case} is champion, promoted by hand.")


def rollback(use_case: UseCaseName) -> None:
    """Make the previous champion the champion again; prediction follows within seconds."""
    from services.training import promotion  # noqa: PLC0415 - its libraries take a second

    champion = promotion.rollback(settings().home, use_case, by=command_line_principal()).champion
    out.print(f"Version {champion.number} of {use_case} is champion again.")


def run_stage(
    home: VigiePaths,
    use_case: str,
    last: str,
    *,
    source: str | None = None,
    fresh: bool = False,
    confirm: Sequence[str] = (),
) -> Path:
    """Run the DVC stages up to ``last`` in a workspace and publish their outputs. With a ``source`` new raw files are
    acquired first; ``confirm``: codes of doubtful values in them that are right."""
    titles = {item.name: item.title.en for item in STEPS}
    title = f"{use_case}: {titles[last] if source is None else 'raw files to ' + last}"
    with step(title, usual=USUAL_SECONDS[last]):
        return _run_stages(home, use_case, last, source=source, fresh=fresh, confirm=confirm, tell=_progress_printer())


def _progress_printer(before: str = "") -> Callable[[str], None]:
    return lambda line: err.print(f"  [dim]{before}{line}[/]")


def _run_stages(
    home: VigiePaths,
    use_case: str,
    last: str,
    *,
    tell: Callable[[str], None],
    source: str | None = None,
    fresh: bool = False,
    confirm: Sequence[str] = (),
    started: Callable[[int], None] | None = None,
    parameters: Params | None = None,
) -> Path:
    from services.core.pipeline.run import run_stages  # noqa: PLC0415 - slow import, not needed by every command

    # Labels are exported with new files and for preprocessing; later stages alone use the published ones.
    outcomes = last != "ingest" and (source is not None or last == "preprocess")

    def prepare(workspace: Path) -> None:
        if source is not None:
            from services.ingestion.sources.acquire import acquire  # noqa: PLC0415

            landing = workspace / "data" / use_case / "landing"
            acquired = acquire(use_case, source, landing, home=home, root=CHECKOUT, fresh=fresh, confirm=confirm)
            for line in acquired.lines():
                tell(escape(line))
        if outcomes:
            from services.core.prediction_log.label_export import export_labels  # noqa: PLC0415

            # Another home than the process's own has a database of its own, or none.
            other = {} if home == settings().home else {"home_path": home.root, "database_url": None}
            exported = export_labels(use_case, workspace, chosen=(own := settings().model_copy(update=other)))
            if own.database_url is not None or home.database.exists():
                tell(str(exported))

    state = run_stages(home, use_case, last, prepare=prepare, progress=tell, started=started, parameters=parameters)
    if source is not None:
        manifest = json.loads((state / "data" / use_case / "raw" / "manifest.json").read_text(encoding="utf-8"))
        for line in manifest.get("report", []):
            tell(escape(line))
    return state


def open_registry(home: VigiePaths) -> Any:
    from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415

    return ModelRegistry.open(home)
