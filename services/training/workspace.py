"""The files that the train and evaluation stages read and write, relative to the workspace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from services.core.bundle.manifest import sha256
from services.core.bundle.predictor import load_arrays
from services.core.errors import VigieError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Workspace:
    """A run's workspace or a published state: both have ``data/<use case>`` and ``models/<use case>``."""

    root: Path
    use_case: str

    @property
    def prepared(self) -> Path:
        return self.root / "data" / self.use_case / "examples"

    @property
    def bundle(self) -> Path:
        return self.root / "models" / self.use_case / "bundle"

    @property
    def evaluation(self) -> Path:
        return self.root / "models" / self.use_case / "evaluation"

    @property
    def lock(self) -> Path:
        return self.root / "dvc.lock"


@dataclass(frozen=True, slots=True)
class Inputs:
    examples: pd.DataFrame
    reference: dict[str, NDArray[Any]]
    context: dict[str, NDArray[Any]]
    simulated: bool
    source: dict[str, str | int | float]
    """What the examples came from, for the bundle's manifest."""


def read_inputs(workspace: Workspace) -> Inputs:
    """What the preprocess stage made.

    Raises:
        VigieError: it has not run, or its files cannot be read.
    """
    import pandas as pd  # noqa: PLC0415

    folder = workspace.prepared
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        examples = pd.read_parquet(folder / "examples.parquet")
        return Inputs(
            examples=examples,
            reference=load_arrays(folder / "reference.npz"),
            context=load_arrays(folder / "context.npz"),
            simulated=bool(manifest["simulated"]),
            source={
                "examples.sha256": sha256(folder / "examples.parquet"),
                "examples.rows": len(examples),
                "reference.sha256": sha256(folder / "reference.npz"),
                "context.sha256": sha256(folder / "context.npz"),
            },
        )
    except (OSError, ValueError, KeyError) as error:
        raise VigieError(
            f"The examples of {workspace.use_case} cannot be read: {error}",
            expected="what the preprocess stage writes below data/<use case>/examples",
            action=f"Run the preprocess stage: ./vigie preprocess {workspace.use_case}",
        ) from error
