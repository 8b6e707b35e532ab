"""A real MLflow registry on SQLite. Making its tables takes seconds, so one empty database is made per
session and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from services.core.bundle.predictor import save_arrays
from services.core.contract.use_case import UseCase
from services.core.model_registry.client import ModelRegistry
from services.core.params import Evaluate
from services.core.paths import VigiePaths
from services.core.settings import Settings
from services.training.evaluation.evaluate import evaluate
from tests.toy.bundles import make_examples, make_toy_bundle
from tests.toy.declaration import USE_CASE
from tests.toy.declared import toy_declared

LOCK = "schema: '2.0'\nstages:\n  train@toy:\n    cmd: x\n    params:\n      params.yaml:\n        train: {folds: 2}\n"


def registry_at(home: VigiePaths, url: str | None = None) -> ModelRegistry:
    return ModelRegistry(Settings().model_copy(update={"home_path": home.root, "registry_url": url}), patience=30)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = VigiePaths(tmp_path_factory.mktemp("registry-home"))
    registry_at(home).prepare()
    return home.registry_database


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> VigiePaths:
    made = VigiePaths(tmp_path / "home")
    made.registry_database.parent.mkdir(parents=True)
    shutil.copy(empty_database, made.registry_database)
    return made


@pytest.fixture
def registry(home: VigiePaths) -> ModelRegistry:
    return registry_at(home)


@pytest.fixture(autouse=True)
def toy() -> Iterator[UseCase]:
    with toy_declared() as use_case:
        yield use_case


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Published states with candidates that are good, better and worse, and one that is said to be of real data."""
    folder = tmp_path_factory.mktemp("states")
    return {name: write_state(folder / name, make_examples(n)) for name, n in SIZES.items()}


SIZES = {"good": 1_500, "better": 6_000, "worse": 1_400, "real": 1_300}


def write_state(root: Path, examples: pd.DataFrame) -> Path:
    bundle = make_toy_bundle(
        root / "models" / "toy" / "bundle", examples=examples, simulated=len(examples) != SIZES["real"]
    )
    evaluate(USE_CASE, examples, {}, bundle=bundle, params=Evaluate(), folder=root / "models" / "toy" / "evaluation")
    (root / "data" / "toy" / "examples").mkdir(parents=True)
    save_arrays(root / "data" / "toy" / "examples" / "context.npz", {})
    (root / "dvc.lock").write_text(LOCK)
    return root


@pytest.fixture
def publish(home: VigiePaths) -> Callable[[Path], None]:
    """Make a state the current one."""

    def point(state: Path) -> None:
        link = home.current("toy")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(state)

    return point
