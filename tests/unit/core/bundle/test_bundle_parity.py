"""One predictor for training and for serving: the same answers, whichever way they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import OnnxBooster, Predictor, to_scalars
from services.core.contract import columns as column_tools
from services.core.contract.use_case import (
    BinaryPrediction,
    MultiClassPrediction,
    RegressionPrediction,
    TargetPrediction,
)
from services.core.errors import VigieError
from services.core.scoring.scored_predictions import to_requests
from services.training.stage import boosting
from tests.toy.bundles import make_examples
from tests.toy.declaration import USE_CASE, ToyRequest


@pytest.fixture(scope="module")
def predictor(bundle: Path) -> Predictor:
    return Predictor(USE_CASE, bundle)


@pytest.fixture(scope="module")
def later() -> pd.DataFrame:
    frame = make_examples(200, seed=9)
    frame.loc[frame.index[::7], "town"] = None
    return frame


def numbers(value: TargetPrediction) -> np.ndarray:
    if isinstance(value, RegressionPrediction):
        return np.column_stack([value.value, value.lower, value.upper])
    if isinstance(value, BinaryPrediction):
        return np.asarray(value.probability)
    return np.asarray(value.probabilities)


def test_one_row_alone_equals_the_same_row_in_a_batch_bit_for_bit(predictor: Predictor, later: pd.DataFrame) -> None:
    columns = column_tools.from_frame(ToyRequest, later)
    batch = predictor.predict(columns, {})
    for index in range(len(later)):
        alone = predictor.predict(column_tools.select_rows(columns, slice(index, index + 1)), {})
        for name in batch.values:
            assert numbers(alone.values[name])[0].tobytes() == numbers(batch.values[name])[index].tobytes()


def test_a_request_gives_the_same_answer_as_its_row_in_a_table(predictor: Predictor, later: pd.DataFrame) -> None:
    columns = column_tools.from_frame(ToyRequest, later)
    from_table = predictor.predict(columns, {})
    from_requests = predictor.predict(column_tools.from_rows(ToyRequest, to_requests(USE_CASE, columns)), {})
    for name in from_table.values:
        assert numbers(from_requests.values[name]).tobytes() == numbers(from_table.values[name]).tobytes()


@pytest.mark.parametrize("target", USE_CASE.modelling.targets, ids=lambda target: target.name)
def test_the_served_forest_agrees_with_the_native_booster(
    predictor: Predictor, later: pd.DataFrame, target: object
) -> None:
    columns = column_tools.from_frame(ToyRequest, later)
    matrices = USE_CASE.features.features(columns, predictor.fitted, {}).matrices
    folder = predictor.folder / "targets" / target.name
    for name in boosting.named_boosters(target):
        native = boosting.native_output(folder / f"{name}.ubj", matrices[target.matrix])
        served = OnnxBooster(folder / f"{name}.onnx")(matrices[target.matrix])
        if served.shape[-1] == 2:
            served = served[:, 1]
        np.testing.assert_allclose(served.reshape(native.shape), native, rtol=boosting.TOLERANCE, atol=2e-7)


def test_training_refuses_a_conversion_that_says_something_else(bundle: Path, tmp_path: Path) -> None:
    for name, other in (("member-0", "member-0"), ("member-1", "member-0")):
        (tmp_path / f"{name}.ubj").write_bytes((bundle / "targets" / "seconds" / f"{name}.ubj").read_bytes())
        (tmp_path / f"{name}.onnx").write_bytes((bundle / "targets" / "seconds" / f"{other}.onnx").read_bytes())
    matrix = np.array([[3.0, 1.0, 12.0, 50.0]], dtype=np.float32)
    boosting.check_conversion(tmp_path, ["member-0"], matrix)
    with pytest.raises(VigieError, match="member-1"):
        boosting.check_conversion(tmp_path, ["member-0", "member-1"], matrix)


def test_missing_numbers_go_the_same_way_in_both_engines(bundle: Path) -> None:
    folder = bundle / "targets" / "seconds"
    matrix = np.full((1, 4), np.nan, dtype=np.float32)
    served = OnnxBooster(folder / "member-0.onnx")(matrix).reshape(-1)
    np.testing.assert_allclose(served, boosting.native_output(folder / "member-0.ubj", matrix), rtol=1e-5)


def test_intervals_hold_the_value_and_the_declared_minimum(predictor: Predictor, later: pd.DataFrame) -> None:
    value = predictor.predict(column_tools.from_frame(ToyRequest, later), {}).values["seconds"]
    assert isinstance(value, RegressionPrediction)
    assert (value.lower <= value.value).all()
    assert (value.value <= value.upper).all()
    assert value.lower.min() >= 0


def test_one_row_for_the_answer_is_plain_python(predictor: Predictor, later: pd.DataFrame) -> None:
    values, facts = to_scalars(predictor.predict(column_tools.from_frame(ToyRequest, later.head(1)), {}), 0)
    assert type(values["seconds"].value) is float
    assert type(values["late"].probability) is float
    assert isinstance(values["size"], MultiClassPrediction)
    assert type(values["size"].probabilities) is list
    assert type(facts["letter"]) is float
