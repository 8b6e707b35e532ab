"""The simulator writes what the challenge writes, and its drifts show in the watched columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.contract.columns import from_frame
from services.core.errors import VigieError
from services.core.raw_files.reader import read_folder
from services.use_cases.product_category import features, raw, simulator
from services.use_cases.product_category.request import ProductRequest


def watched(folder: Path, **options: tuple[str, ...]) -> dict[str, np.ndarray]:
    simulator.write(folder, seed=1, rows=60, start="2024-01-01", days=10, **options)
    examples = raw.build_examples(read_folder("product_category", folder))
    return dict(features.drift_features(from_frame(ProductRequest, examples), None))


def test_files_have_the_official_layout(tmp_path: Path) -> None:
    written = simulator.write(tmp_path, seed=1, rows=40, start="2024-01-01", days=10)
    assert all(path.name.startswith("simulated-") for path in written)
    products = pd.read_csv(tmp_path / "simulated-X_train.csv", index_col=0)
    assert list(products) == ["designation", "description", "productid", "imageid"]
    assert list(pd.read_csv(tmp_path / "simulated-Y_train.csv", index_col=0)) == ["prdtypecode"]


def test_the_same_seed_writes_the_same_bytes_and_another_start_other_products(tmp_path: Path) -> None:
    def write(name: str, start: str) -> list[bytes]:
        written = simulator.write(tmp_path / name, seed=1, rows=20, start=start, days=10)
        return [path.read_bytes() for path in written]

    assert write("a", "2024-01-01") == write("b", "2024-01-01")
    write("c", "2024-02-01")
    first, later = (pd.read_csv(tmp_path / name / "simulated-X_train.csv", index_col=0) for name in ("a", "c"))
    assert not set(first.index) & set(later.index)
    assert not set(first["productid"]) & set(later["productid"])


def test_each_drift_shows_where_it_should(tmp_path: Path) -> None:
    usual = watched(tmp_path / "usual")
    dark = watched(tmp_path / "dark", drift=("dark-pictures",))
    blurred = watched(tmp_path / "blurred", drift=("blurred-pictures",))
    english = watched(tmp_path / "english", drift=("english-only",))
    assert np.nanmean(dark["brightness"]) < 0.7 * np.nanmean(usual["brightness"])
    assert np.nanmean(blurred["sharpness"]) < 0.95 * np.nanmean(usual["sharpness"])
    assert (english["language"] == "fr").mean() < 0.1 < (usual["language"] == "fr").mean()
    with pytest.raises(VigieError, match="no drift"):
        simulator.write(tmp_path, seed=1, rows=5, start="2024-01-01", days=1, drift=("none such",))
