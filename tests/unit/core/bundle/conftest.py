"""A bundle of the toy use case, trained once for this folder's tests."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.toy.bundles import make_examples, make_toy_bundle


@pytest.fixture(scope="session")
def examples() -> pd.DataFrame:
    return make_examples(1_500)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, examples: pd.DataFrame) -> Path:
    """Not to be changed: tests that break a bundle copy it first."""
    return make_toy_bundle(tmp_path_factory.mktemp("toy") / "bundle", examples=examples)
