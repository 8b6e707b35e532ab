"""Training: the same data, parameters and seed give the same bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.bundle.predictor import Predictor, load_arrays
from services.core.errors import VigieError
from services.core.params import Train
from services.training.stage import boosting
from services.training.stage.train import train
from tests.toy.bundles import make_toy_bundle
from tests.toy.declaration import USE_CASE


def hash_of(folder: Path) -> str:
    return bundle_hash(read_manifest(folder))


def test_the_same_examples_give_the_same_bundle(bundle: Path, examples: pd.DataFrame, tmp_path: Path) -> None:
    again = make_toy_bundle(tmp_path / "again", examples=examples)
    assert hash_of(again) == hash_of(bundle)


def test_threads_change_nothing_in_the_bundle(bundle: Path, examples: pd.DataFrame, tmp_path: Path) -> None:
    params = Train(folds=2, minimum_group=30, threads=4)
    folder = train(USE_CASE, examples, {}, {}, params=params, folder=tmp_path / "b", simulated=True)
    assert hash_of(folder) == hash_of(bundle)


def test_one_changed_outcome_gives_another_bundle(bundle: Path, examples: pd.DataFrame, tmp_path: Path) -> None:
    changed = examples.copy()
    changed.loc[changed.index[10], "seconds"] += 500
    assert hash_of(make_toy_bundle(tmp_path / "b", examples=changed)) != hash_of(bundle)


def test_a_bundle_that_stood_there_is_replaced_whole(examples: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "left-over.txt").write_text("old")
    read_manifest(make_toy_bundle(folder, examples=examples))


def test_the_manifest_says_what_made_it(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.simulated
    assert manifest.data["seconds.train.rows"] == 1_050
    assert manifest.data["seconds.train.to"] < manifest.data["seconds.test.from"]
    assert {"python", "xgboost", "numpy", "code"} <= set(manifest.versions)


def test_what_the_audit_finds_is_in_the_bundle_beside_what_was_learned(bundle: Path) -> None:
    assert set(load_arrays(bundle / "fitted.npz")) == {"towns", "delays", "audit_bias"}


def test_an_audit_may_not_overwrite_what_was_learned(examples: pd.DataFrame, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(USE_CASE.features, "post_training_checks", lambda *_: {"towns": np.zeros(1)})
    with pytest.raises(ValueError, match="towns"):
        make_toy_bundle(tmp_path / "b", examples=examples)


def test_missing_labels_are_not_learned_from(examples: pd.DataFrame, tmp_path: Path) -> None:
    fewer = examples.copy()
    fewer.loc[fewer.index[::2], ["seconds", "late"]] = np.nan
    data = read_manifest(make_toy_bundle(tmp_path / "b", examples=fewer)).data
    assert data["seconds.train.rows"] == pytest.approx(data["size.train.rows"] / 2, abs=1)


def test_field_ranges_hold_words_and_numbers_of_the_training_rows_alone(examples: pd.DataFrame, tmp_path: Path) -> None:
    changed = examples.copy()
    changed.loc[changed.index[-1], ["town", "distance"]] = ["atlantis", 99.0]
    ranges = json.loads((make_toy_bundle(tmp_path / "b", examples=changed) / "inputs.json").read_text())
    assert ranges["town"]["words"] == ["east", "north", "west"]
    assert ranges["distance"]["max"] < 99
    assert ranges["distance"]["low"] <= ranges["distance"]["median"] <= ranges["distance"]["high"]
    assert ranges["called_at"]["kind"] == "time"


def test_the_reference_sample_is_before_the_test_slice_and_has_predictions(bundle: Path) -> None:
    frame, data = pd.read_parquet(bundle / "reference.parquet"), read_manifest(bundle).data
    assert frame["called_at"].max() <= pd.Timestamp(data["seconds.calibrate.to"])
    assert {"prediction.seconds", "prediction.late", "prediction.size"} <= set(frame.columns)
    assert set(frame["slice"]) == {"train", "calibrate"}


def test_training_compares_every_booster_with_what_will_be_served(
    examples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosting, "TOLERANCE", 0.0)  # float32 sums in another order differ by more than nothing
    with pytest.raises(VigieError, match="differs from the native one"):
        make_toy_bundle(tmp_path / "b", examples=examples)


def test_learning_beats_knowing_nothing(bundle: Path, examples: pd.DataFrame) -> None:
    predictor = Predictor(USE_CASE, bundle)
    assert abs(float(predictor.arrays["audit_bias"])) < 30
    east, north = (predictor.arrays["delays"][predictor.arrays["towns"] == town][0] for town in ("east", "north"))
    assert east - north == pytest.approx(200, abs=30)
