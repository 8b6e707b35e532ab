"""Paths of the train and evaluation stages, their inputs and which of them are refused, and how both start."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
from numpy.typing import NDArray

from services.core import use_case_registry
from services.core.bundle.manifest import load_arrays
from services.core.contract.outputs import describe_value
from services.core.contract.use_case import Target, UseCase
from services.core.errors import VigieError
from services.core.io import file_sha256
from services.core.pipeline import stage

if TYPE_CHECKING:
    import pandas as pd

_ACTION = "Look at the files of {}: a column may be empty, cut off or filled with one value."


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


def ensure_label_varies(
    use_case: str, target: Target, labels: pd.Series, slices: Mapping[str, NDArray[np.bool_]]
) -> None:
    """Require that a target has two rows and two values in every slice.

    Args:
        use_case: Name, for the message.
        target: Whose label it is.
        labels: Labels (n,) as in the examples; missing where a row is not one of the target's.
        slices: What the rows are for (``to train on``) -> mask bool (n,).

    Raises:
        VigieError: No row has a label, a slice has fewer than two, or all labels of a slice are one value.
    """
    action, known = _ACTION.format(use_case), labels.notna().to_numpy()
    if not known.any():
        raise VigieError(
            f"{use_case}: {target.name} is missing in all {len(labels):,} rows.",
            expected=f"values of {target.label}",
            action=action,
        )
    counts = {purpose: int((mask & known).sum()) for purpose, mask in slices.items()}
    if (value := _constant_label(target, labels[known])) is not None and known.sum() > 1:
        raise VigieError(
            f"{use_case}: {target.name} is {value} in all {known.sum():,} rows, so there is nothing to learn.",
            expected="at least two values",
            action=action,
        )
    if min(counts.values()) < 2:
        raise VigieError(
            f"{use_case}: too few examples of {target.name}: "
            + ", ".join(f"{count} {purpose}" for purpose, count in counts.items())
            + ".",
            expected="at least two in each slice",
            action="Ingest more data.",
        )
    for purpose, mask in slices.items():
        if (value := _constant_label(target, labels[mask & known])) is not None:
            raise VigieError(
                f"{use_case}: {target.name} is {value} in all {counts[purpose]:,} rows {purpose}.",
                expected="at least two values in each slice",
                action=f"Ingest more data. {action}",
            )


def _constant_label(target: Target, labels: pd.Series) -> str | None:
    """The one value that all labels (n,) have; None where there are several, or no labels."""
    values = labels.to_numpy()
    constant = len(values) and (values == values[0]).all()
    return describe_value(target.output, values[0]) if constant else None


def ensure_columns_vary(use_case: UseCase, examples: pd.DataFrame) -> None:
    """Warn of request fields that are missing or one value in all rows; a model learns nothing from them.

    A field that a centre always leaves out is normal, so this is refused only where no field varies.

    Args:
        use_case: Its request's fields are looked at.
        examples: One row per example (n rows).

    Raises:
        VigieError: Every field is constant.
    """
    constant = dict(_constant_columns(use_case, examples))
    if len(examples) > 1 and len(constant) == len(use_case.serving.request.model_fields):
        raise VigieError(
            f"{use_case.name}: no field varies in {len(examples):,} rows: "
            + ", ".join(f"{name} is {value}" for name, value in constant.items())
            + ".",
            expected="at least two values in some field",
            action=_ACTION.format(use_case.name),
        )
    for name, value in constant.items():
        structlog.get_logger().warning(
            "a field is the same in all rows", use_case=use_case.name, field=name, value=value, rows=len(examples)
        )


def _constant_columns(use_case: UseCase, examples: pd.DataFrame) -> Iterator[tuple[str, str]]:
    for name in use_case.serving.request.model_fields:
        known = examples[name].dropna()
        if known.empty:
            yield name, "missing"
        elif len(known) == len(examples) and (known == known.iloc[0]).all():
            yield name, str(known.iloc[0])[:40]


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
