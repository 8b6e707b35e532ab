"""Loads a model version as DataFrames in notebooks: ``from services.notebook import load``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core import use_case_registry
from services.core.bundle.manifest import load_arrays
from services.core.bundle.predictor import Predictor
from services.core.contract import columns as column_tools
from services.core.errors import VigieError
from services.core.io import file_sha256
from services.core.settings import settings

CANDIDATE = "candidate"
"""The result of the last run, registered or not."""


class Version(NamedTuple):
    """A model version with its rows."""

    bundle: Predictor
    """The verified, loaded bundle: ``bundle.predict(columns, context)``, ``bundle.manifest``."""
    examples: pd.DataFrame
    """All n examples that it was built from, if they are still the published ones; otherwise its test rows only."""
    features: dict[str, pd.DataFrame]
    """Matrix name -> features (n, p) float32 of the examples, NaN for missing. Sparse matrices are omitted."""
    columns: dict[str, NDArray[Any]]
    """The examples as predictor input: request field -> values (n,)."""
    context: dict[str, NDArray[Any]]
    """Context of the features from outside the request, such as the weather."""


def load(use_case: str, version: str | int = "champion") -> Version:
    """Load a version of a use case's model from this machine's home (``VIGIE_HOME``), or from its registry.

    Args:
        use_case: its name.
        version: an alias (``champion``, ``previous``, ``challenger``), a number, or ``candidate`` for the result of the
            last run.

    Returns:
        The predictor, with examples and features of the rows that it was built from.

    Raises:
        VigieError: the use case or version does not exist, or its bundle is incomplete.
    """
    declared, home = use_case_registry.get(use_case), settings().home
    prepared = home.data(use_case) / "examples"
    with tempfile.TemporaryDirectory(prefix="vigie-") as folder:  # a predictor reads its files at load time only
        bundle, tested = home.models(use_case) / "bundle", home.models(use_case) / "evaluation" / "test.parquet"
        if version != CANDIDATE:
            bundle, tested = _download(use_case, version, Path(folder))
        predictor = Predictor(declared, bundle)
        made_from = predictor.manifest.data.get("examples.sha256")
        published = prepared / "examples.parquet"
        same = published.is_file() and file_sha256(published) == made_from
        examples = pd.read_parquet(published if same else tested)
    context = load_arrays(prepared / "context.npz") if (prepared / "context.npz").is_file() else {}
    columns = column_tools.from_frame(declared.serving.request, examples)
    names = declared.features.FEATURE_NAMES
    features = {
        name: pd.DataFrame(matrix, columns=list(names[name]), index=examples.index)
        for name, matrix in predictor.features.features(columns, predictor.fitted, context).matrices.items()
        if isinstance(matrix, np.ndarray)
    }
    return Version(predictor, examples, features, columns, context)


def _download(use_case: str, version: str | int, folder: Path) -> tuple[Path, Path]:
    """Download the version's bundle and the file of its test rows to ``folder``."""
    from services.core.model_registry.client import ModelRegistry  # noqa: PLC0415 - MLflow takes seconds

    registry = ModelRegistry.open(settings().home)
    if isinstance(version, int) or version.isdigit():
        found = registry.version(use_case, int(version))
    else:
        alias = registry.by_alias(use_case, version)
        if alias is None:
            raise VigieError(
                f"{use_case} has no version with the alias {version}.", action=f"Make one with ./vigie run {use_case}."
            )
        found = alias
    evaluation = registry.download_evaluation(found, folder / "evaluation")
    return registry.download(found, folder / "bundle"), evaluation / "test.parquet"
