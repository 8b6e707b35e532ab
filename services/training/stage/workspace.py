"""Paths and inputs of the train and evaluation stages, and how both start."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from numpy.typing import NDArray

from services.core import use_case_registry
from services.core.bundle.manifest import load_arrays
from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.core.io import file_sha256
from services.core.pipeline import stage

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths of a run's workspace or a published state: both have ``data/<use case>`` and ``models/<use case>``.

    Attributes:
        root: Folder of the workspace or state.
        use_case: Name of the use case.
    """

    root: Path
    use_case: str

    @property
    def prepared(self) -> Path:
        """Folder of the examples that the preprocess stage writes."""
        return self.root / "data" / self.use_case / "examples"

    @property
    def bundle(self) -> Path:
        """Folder of the model bundle that the train stage writes."""
        return self.root / "models" / self.use_case / "bundle"

    @property
    def evaluation(self) -> Path:
        """Folder of metrics, plots and model card that the evaluation stage writes."""
        return self.root / "models" / self.use_case / "evaluation"

    @property
    def lock(self) -> Path:
        """DVC's lock file: hashes of every stage's inputs and outputs."""
        return self.root / "dvc.lock"


@dataclass(frozen=True, slots=True)
class StageInputs:
    """What the preprocess stage made.

    Attributes:
        examples: One row per example (n rows): request fields, labels, group, time.
        reference: Array name -> reference data of the use case, of any shape.
        context: Array name -> what features read beside requests, of any shape.
        simulated: Whether the examples come from simulated data.
        source: What the examples came from (hashes, rows), for the bundle's manifest.
    """

    examples: pd.DataFrame
    reference: dict[str, NDArray[Any]]
    context: dict[str, NDArray[Any]]
    simulated: bool
    source: dict[str, str | int | float]


def read_inputs(workspace: Workspace) -> StageInputs:
    """Read what the preprocess stage made.

    Args:
        workspace: Where it is read.

    Returns:
        Examples, reference, context and provenance.

    Raises:
        VigieError: The stage has not run, or its files cannot be read.
    """
    import pandas as pd  # noqa: PLC0415

    folder = workspace.prepared
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        examples = pd.read_parquet(folder / "examples.parquet")
        return StageInputs(
            examples=examples,
            reference=load_arrays(folder / "reference.npz"),
            context=load_arrays(folder / "context.npz"),
            simulated=bool(manifest["simulated"]),
            source={
                "examples.sha256": file_sha256(folder / "examples.parquet"),
                "examples.rows": len(examples),
                "reference.sha256": file_sha256(folder / "reference.npz"),
                "context.sha256": file_sha256(folder / "context.npz"),
            },
        )
    except (OSError, ValueError, KeyError) as error:
        raise VigieError(
            f"The examples of {workspace.use_case} cannot be read: {error}",
            expected="what the preprocess stage writes below data/<use case>/examples",
            action=f"Run the preprocess stage: ./vigie preprocess {workspace.use_case}",
        ) from error


def run_training_stage(program: str, arguments: list[str], work: Callable[[UseCase, Workspace], str]) -> int:
    """Run a stage's work in the workspace that is the current folder.

    Args:
        program: Module of the stage; its last part names the stage in messages.
        arguments: Command line without the program: the use case's name.
        work: Does the stage and returns a sentence for the log.

    Returns:
        Exit code: 0, or 1 with a plain message.
    """

    def named(use_case: str) -> None:
        done = work(use_case_registry.get(use_case), Workspace(Path(), use_case))
        structlog.get_logger().info(done, use_case=use_case)

    return stage.run_stage_main(program.rpartition(".")[2], named, arguments)
