"""The last two things that go into a bundle, both made with the finished model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.predictor import Predictor, save_arrays
from services.core.usecases import columns as column_tools
from services.core.usecases.contract import ProbabilityValue, QuantityValue, Value
from services.core.usecases.watching import derived
from services.training.prepared import Run
from services.training.slices import CALIBRATE, TRAIN


def add_findings(run: Run, learned: Mapping[str, NDArray[Any]]) -> Predictor:
    """Let the use case examine the model on the calibration slice; what it finds is stored beside
    what ``fit`` learned. Returns the predictor that was examined."""
    predictor = Predictor(run.use_case, run.folder)
    rows = run.data.rows(CALIBRATE)
    columns = column_tools.take(run.data.columns, rows)
    values = predictor.predict(columns, run.context, unseen=run.data.parts_at(rows)).values
    findings = run.use_case.features.audit(columns, run.data.labels_of(CALIBRATE, rows), values, predictor.fitted)
    clash = sorted(set(findings) & set(learned))
    if clash:
        raise ValueError(f"{run.use_case.name}: audit returns arrays that fit already made: {clash}")
    save_arrays(run.folder / "fitted.npz", {**learned, **findings})
    return predictor


def add_reference_sample(run: Run, predictor: Predictor) -> None:
    """Write ``reference.parquet``: a sample of requests up to the test slice with the model's answers.

    Columns: the request's fields but pictures, ``watched.<name>`` for what the use case derives for drift, ``slice``
    (train or calibrate: answers on rows that were learned from are a little too sure) and ``prediction.<target>``
    (value, probability or class number)."""
    calibration = run.data.rows(CALIBRATE)
    known = np.concatenate([run.data.rows(TRAIN), calibration])
    generator = np.random.default_rng(run.params.seed)
    sample = np.sort(generator.choice(known, min(len(known), run.params.reference_rows), replace=False))
    request = run.use_case.request
    fields = [name for name in request.model_fields if name not in column_tools.images(request)]
    frame = run.data.examples.iloc[sample][fields].reset_index(drop=True)
    columns = column_tools.take(run.data.columns, sample)
    for name, values in derived(run.use_case, columns, predictor.fitted).items():
        frame[f"watched.{name}"] = values
    frame["slice"] = np.where(np.isin(sample, calibration), "calibrate", "train")
    prediction = predictor.predict(columns, run.context)
    for name, value in prediction.values.items():
        frame[f"prediction.{name}"] = _one_number(value)
    frame.to_parquet(run.folder / "reference.parquet", index=False)


def _one_number(value: Value) -> NDArray[Any]:
    if isinstance(value, QuantityValue):
        return np.asarray(value.value)
    if isinstance(value, ProbabilityValue):
        return np.asarray(value.probability)
    return np.asarray(value.probabilities).argmax(axis=1)
