"""A trained model: what it answers to rows, and what training makes of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from services.core.bundle.predictor import Predictor
from services.core.contract.columns import from_frame, mask_fields, select_rows
from services.core.contract.use_case import MultiClassPrediction
from services.core.params import Train
from services.core.scoring.report import score
from services.training.stage.train import train
from services.use_cases.product_category import features
from services.use_cases.product_category.declaration import USE_CASE
from services.use_cases.product_category.request import ProductRequest


def chances(predictor: Predictor, columns: dict[str, np.ndarray]) -> np.ndarray:
    value = predictor.predict(columns, {}).values["category"]
    assert isinstance(value, MultiClassPrediction)
    return np.asarray(value.probabilities)


def test_a_row_alone_and_among_others_is_equal_bit_for_bit(predictor: Predictor, products: pd.DataFrame) -> None:
    columns = from_frame(ProductRequest, products.head(24))
    together = chances(predictor, columns)
    with threadpool_limits(limits=1, user_api="blas"):
        for row in range(24):
            assert (chances(predictor, select_rows(columns, slice(row, row + 1)))[0] == together[row]).all()


def test_each_part_alone_is_a_good_guess_and_nothing_is_the_shares(
    predictor: Predictor, products: pd.DataFrame
) -> None:
    products = products.head(100)
    columns = from_frame(ProductRequest, products)
    label = np.array([predictor.manifest.targets["category"].labels.index(name) for name in products["category"]])
    pictured = np.array([picture is not None for picture in columns["image"]])
    for left_out, rows in ((["image"], slice(None)), (["title", "description"], pictured), ([], slice(None))):
        found = chances(predictor, mask_fields(ProductRequest, columns, left_out)).argmax(axis=1)
        assert (found == label)[rows].mean() > 0.9
    nothing = chances(predictor, mask_fields(ProductRequest, columns, ["title", "description", "image"]))
    assert (nothing == nothing[0]).all()
    assert nothing[0].sum() == pytest.approx(1)
    assert nothing[0].max() < 0.3


def test_the_bundle_keeps_the_classes_and_no_pickle(bundle: Path, predictor: Predictor) -> None:
    labels = predictor.manifest.targets["category"].labels
    assert labels == tuple(sorted(labels))
    assert {path.suffix for path in bundle.rglob("*") if path.is_file()} == {".json", ".npz", ".parquet"}
    reference = pd.read_parquet(bundle / "reference.parquet")
    assert "image" not in reference
    assert {f"watched.{name}" for name in USE_CASE.serving.drift_features} <= set(reference)


@pytest.mark.slow
def test_the_same_products_make_the_same_bundle(products: pd.DataFrame, tmp_path: Path) -> None:
    hashes = []
    for threads in (1, 2):
        folder = train(
            USE_CASE, products, {}, {}, params=Train(folds=2, threads=threads), folder=tmp_path / "b", simulated=True
        )
        hashes.append(Predictor(USE_CASE, folder).hash)
    assert hashes[0] == hashes[1]


def test_a_class_that_the_model_never_saw_counts_as_missed(predictor: Predictor, products: pd.DataFrame) -> None:
    products = products.head(60)
    known = score(predictor, products, {})["metrics"]["category"]
    assert set(known) == {"f1_weighted", "accuracy", "f1_weighted_text", "f1_weighted_image"}
    strange = products.assign(category=products["category"].where(products.index % 2 == 0, "9999"))
    found = score(predictor, strange, {})["metrics"]["category"]
    assert found["accuracy"] == pytest.approx(known["accuracy"] / 2, abs=0.05)


def test_a_word_is_found_again_however_it_is_written(products: pd.DataFrame) -> None:
    columns = from_frame(ProductRequest, products)
    fitted = features.prepare(features.fit(columns, {}, {}, {}))
    written = ["Chemise été", "CHEMISE &eacute;t&eacute;", "<p>chemise</p> ete"]
    asked = {
        "title": np.array(written, dtype=object),
        "description": np.array([""] * 3, dtype=object),
        "image": np.array([None] * 3, dtype=object),
    }
    rows = features.features(asked, fitted, {}).matrices["text"]
    for row in (1, 2):
        assert (rows.row(row)[0] == rows.row(0)[0]).all()
        assert (rows.row(row)[1] == rows.row(0)[1]).all()
    found = features.drift_features(asked, fitted)
    assert found["unseen_words"][0] == 0.5
    assert np.isnan(features.drift_features(asked, None)["unseen_words"]).all()
    assert np.isnan(found["brightness"]).all()


def test_without_any_picture_the_text_is_learned_from_and_answers_rest_on_it_alone(
    products: pd.DataFrame, tmp_path: Path
) -> None:
    blind = products.assign(image=None)
    made = train(USE_CASE, blind, {}, {}, params=Train(folds=3), folder=tmp_path / "bundle", simulated=True)
    learned = Predictor(USE_CASE, made)
    columns = mask_fields(ProductRequest, from_frame(ProductRequest, products.head(60)), ["description"])
    facts = learned.predict(columns, {}).extras
    assert facts["has_title"].all()
    assert not facts["has_image"].any()  # though pictures are sent
    label = np.array([learned.manifest.targets["category"].labels.index(name) for name in products["category"][:60]])
    assert (chances(learned, columns).argmax(axis=1) == label).mean() > 0.9
    without = chances(learned, mask_fields(ProductRequest, columns, ["image"]))
    assert (chances(learned, columns) == without).all()
