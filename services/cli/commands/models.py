"""``./vigie models``, ``evaluate`` and ``predict``: registered versions, their metrics, one prediction."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from services.cli.console import (
    AsJson,
    DataFolder,
    UseCaseName,
    err,
    known_use_case,
    out,
    print_json,
    print_metrics,
    print_versions,
    step,
)
from services.core import use_case_registry as use_cases
from services.core.contract.use_case import example_request
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.settings import settings

if TYPE_CHECKING:
    import pandas as pd

    from services.core.bundle.predictor import Predictor
    from services.core.contract.use_case import UseCase
    from services.core.model_registry.version import RegisteredVersion

log = structlog.get_logger(__name__)


def models(
    use_case: Annotated[str | None, typer.Argument(help="Only this use case.", metavar="[USE_CASE]")] = None,
    as_json: AsJson = False,
) -> None:
    """List the registered versions with their aliases, metrics and the gate's word."""
    from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415 - MLflow takes seconds

    registry = ModelRegistry.open(settings().home)
    chosen = use_cases.names() if use_case is None else (known_use_case(use_case),)
    found = {name: registry.versions(name) for name in chosen}
    if as_json:
        print_json({name: [_as_dict(version) for version in versions] for name, versions in found.items()})
        return
    for name, versions in found.items():
        if versions:
            print_versions(name, versions)
        else:
            err.print(f"{name} has no version yet. {_first_version(name)}")


def _first_version(name: str) -> str:
    from services.cli.commands.platform import first_training  # noqa: PLC0415 - rarely needed
    from services.cli.local_platform.supervisor import Supervisor  # noqa: PLC0415

    if Supervisor(settings().home).pid() is None:
        return f"Make the first with ./vigie run {name}."
    return f"First models: {first_training([name])}"


def evaluate(use_case: UseCaseName, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Score the candidate on its test slice, or with --data the champion on a folder of raw official files."""
    from services.cli.commands import pipeline  # noqa: PLC0415 - not needed by the other commands here

    home = settings().home
    if data is None:
        pipeline.run_stage(home, use_case, "evaluate")
        report = pipeline.candidate_report(home, use_case)
    else:
        with step(f"{use_case}: score the champion", usual=15):
            report = score_champion(home, use_case, data)
    if as_json:
        print_json(report)
    else:
        print_metrics(report)


def score_champion(home: VigiePaths, use_case: str, folder: Path) -> dict[str, Any]:
    """Score the champion on a folder of raw official files, and count the rows among them that it learned from.

    Raises:
        VigieError: there is no champion, or the folder contains none of the use case's files.
    """
    from services.core.bundle.predictor import Predictor  # noqa: PLC0415
    from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415
    from services.core.model_registry.version import CHAMPION  # noqa: PLC0415
    from services.core.raw_files.reader import read_folder  # noqa: PLC0415
    from services.core.scoring.report import score  # noqa: PLC0415

    declared = use_cases.get(use_case)
    registry = ModelRegistry.open(home)
    champion = registry.by_alias(use_case, CHAMPION)
    if champion is None:
        raise VigieError(f"{use_case} has no champion to score.", action=f"Make one with ./vigie run {use_case}.")
    with tempfile.TemporaryDirectory(prefix="vigie-") as beside:
        predictor = Predictor(declared, registry.download(champion, Path(beside) / "bundle"))
        tables = read_folder(use_case, folder)
        rows = declared.raw.build_examples(tables)
        report = score(predictor, rows, declared.raw.training_context(tables), version=str(champion.number))
        return report | {"learned_rows": _learned_rows(home, declared, champion, predictor, rows)}


def _learned_rows(
    home: VigiePaths, use_case: UseCase, champion: RegisteredVersion, predictor: Predictor, rows: pd.DataFrame
) -> int | None:
    """Count the rows that the champion learned from; None where its examples are no longer there."""
    import pandas as pd  # noqa: PLC0415

    from services.core.io import file_sha256  # noqa: PLC0415
    from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415
    from services.core.pipeline.versions import checkout_data  # noqa: PLC0415
    from services.training.evaluation.test_set import learned_rows  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="vigie-") as beside:
        path = home.data(use_case.name) / "examples" / "examples.parquet"
        try:
            if not path.is_file() or file_sha256(path) != predictor.manifest.data.get("examples.sha256"):
                lock = ModelRegistry.open(home).lock_file(champion)
                checkout_data(home, lock, use_case.name, Path(beside) / "data")
                path = Path(beside) / "data" / "examples" / "examples.parquet"
            return int(learned_rows(use_case, pd.read_parquet(path), rows).sum())
        except (VigieError, OSError) as error:
            log.info("training rows not compared", use_case=use_case.name, reason=str(error).splitlines()[0])
            return None


def predict(
    use_case: UseCaseName,
    request: Annotated[
        str | None, typer.Argument(help="The request as JSON, or @FILE, or - for standard input.", metavar="[JSON]")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Ask with the use case's own example.")] = False,
) -> None:
    """Answer one request with the champion, without a running service; without a champion the baseline answers."""
    if (request is None) != example:
        raise VigieError(
            "Nothing to predict for, or too much.",
            expected="either a request or --example",
            action=f"./vigie predict {use_case} --example shows a request and its answer.",
        )
    payload = example_payload(use_case) if example else _read_payload(str(request))
    if example:
        err.print(f"[dim]{json.dumps(payload, ensure_ascii=False)}[/]", highlight=False)
    out.print_json(predict_offline(settings().home, use_case, payload).decode())


def example_payload(use_case: str) -> dict[str, Any]:
    return example_request(use_cases.get(use_case).serving.request)


def predict_offline(home: VigiePaths, use_case: str, payload: Any) -> bytes:
    """The prediction service's response, from the same code.

    Raises:
        VigieError: the request is invalid; lists every error.
    """
    from services.core.web.errors import HttpError  # noqa: PLC0415 - its libraries take a second
    from services.prediction.model_sync.mlflow_registry import offline_prediction_service  # noqa: PLC0415

    answering = offline_prediction_service(home, use_cases.get(use_case))
    try:
        return answering.one(payload, "command-line")
    except HttpError as error:
        lines = [
            f"- {item['field'] or 'the request'}: {item['reason']}{_allowed(item['allowed'])}" for item in error.faults
        ]
        raise VigieError(
            "The request is not valid:\n" + "\n".join(lines),
            action=f"./vigie predict {use_case} --example shows a valid one.",
        ) from error


def _allowed(text: str) -> str:
    return f" (allowed: {text.rstrip('.')})" if text else ""


def _read_payload(text: str) -> Any:
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except OSError as error:
            raise VigieError(f"{text[1:]} cannot be read: {error.strerror}") from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise VigieError(f"The request is not JSON: {error}", expected="an object with the request's fields") from error


def _as_dict(version: Any) -> dict[str, Any]:
    names = ("number", "aliases", "bundle_hash", "created", "simulated", "metrics", "tags")
    return {name: getattr(version, name) for name in names}
