"""The door for notebooks, and the notebook in ``docs/`` run through it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from services.core import use_case_registry
from services.core.bundle.manifest import save_arrays
from services.core.errors import VigieError
from services.core.io import file_sha256
from services.core.paths import VigiePaths
from services.core.raw_files.reader import read_folder
from services.core.settings import CHECKOUT, settings
from services.notebook import load
from services.training.stage.train import Train, train

pytestmark = pytest.mark.slow  # it trains a model and starts a kernel

NAME = "wine_quality"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> VigiePaths:
    """A home in which a run of simulated wines was published."""
    home, use_case = VigiePaths(tmp_path_factory.mktemp("home")), use_case_registry.get(NAME)
    with tempfile.TemporaryDirectory() as landing:
        use_case.simulator.write(Path(landing), seed=7, rows=400, start="2024-01-01", days=30, drift=())
        tables = read_folder(NAME, Path(landing))
    examples, folder = use_case.raw.build_examples(tables), home.data(NAME) / "examples"
    folder.mkdir(parents=True)
    examples.to_parquet(folder / "examples.parquet", index=False)
    context = use_case.raw.training_context(tables)
    save_arrays(folder / "context.npz", context)
    params = Train.model_validate({"learners": {t.name: {"num_boost_round": 5} for t in use_case.modelling.targets}})
    bundle = home.models(NAME) / "bundle"
    source = {"examples.sha256": file_sha256(folder / "examples.parquet")}
    train(use_case, examples, {}, context, params=params, folder=bundle, simulated=True, source=source)
    (home.models(NAME) / "evaluation").mkdir()
    examples.head(50).to_parquet(home.models(NAME) / "evaluation" / "test.parquet", index=False)
    return home


@pytest.fixture(autouse=True)
def _at_home(home: VigiePaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VIGIE_HOME", str(home.root))
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_a_version_is_its_bundle_its_examples_and_their_features() -> None:
    loaded = load(NAME, "candidate")
    assert len(loaded.examples) == 400
    target = loaded.bundle.use_case.modelling.targets[0]
    features = loaded.features[target.matrix]
    assert tuple(features.columns) == loaded.bundle.manifest.targets[target.name].features
    assert (features.dtypes == np.float32).all()
    assert len(features) == 400
    assert target.name in loaded.bundle.predict(loaded.columns, loaded.context).values


def test_examples_of_a_later_run_are_not_taken_for_its_own(home: VigiePaths) -> None:
    path = home.data(NAME) / "examples" / "examples.parquet"
    own = path.read_bytes()
    pd.read_parquet(path).tail(10).to_parquet(path, index=False)
    try:
        assert len(load(NAME, "candidate").examples) == 50  # its test rows
    finally:
        path.write_bytes(own)


def test_a_version_that_is_not_there_is_refused_in_words() -> None:
    with pytest.raises(VigieError, match="no version"):
        load(NAME)


def test_the_notebook_runs_and_holds_no_outputs() -> None:
    notebook = nbformat.read(CHECKOUT / "docs" / "notebook.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    code[0].source = code[0].source.replace('"champion"', '"candidate"')
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(CHECKOUT)}}
    ).execute()
    assert "mean absolute error" in str(code[-1].outputs)
