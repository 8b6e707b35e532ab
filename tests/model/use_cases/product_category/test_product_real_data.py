"""Real products, read from files in the challenge's layout: some are held out, the others trained on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from services.core.bundle.predictor import Predictor
from services.core.params import Train
from services.core.raw_files.reader import read_folder
from services.core.scoring.report import score
from services.training.stage.splitting import hash_fractions
from services.training.stage.train import train
from services.use_cases.product_category import raw
from services.use_cases.product_category.declaration import USE_CASE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables(shared_data: Path) -> dict[str, pd.DataFrame]:
    return read_folder("product_category", shared_data / "product_category")


def test_every_product_has_its_picture_and_its_class(tables: dict[str, pd.DataFrame]) -> None:
    examples = raw.build_examples(tables)
    assert len(examples) == 5_000
    assert examples["category"].nunique() == 29
    assert examples["image"].notna().all()
    assert (examples["title_names_class"] == "yes").mean() == pytest.approx(0.865)


def test_two_thirds_of_the_products_already_reach_what_is_asked_for(
    tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    examples = raw.build_examples(tables)
    apart = hash_fractions(examples["product"].tolist(), "kept apart") > 0.8
    known, new = (examples[chosen].reset_index(drop=True) for chosen in (~apart, apart))
    folder = train(
        USE_CASE, known, raw.lookup_tables(tables), {}, params=Train(), folder=tmp_path / "bundle", simulated=False
    )
    found = score(Predictor(USE_CASE, folder), new, {})["metrics"]
    assert found["category"]["f1_weighted"] > 0.975
    assert found["category"]["f1_weighted_text"] > 0.97
    assert found["category"]["f1_weighted_image"] > 0.87
    assert found["category_text_not_named"]["f1_weighted"] < found["category"]["f1_weighted_text"] - 0.03
