"""The same boosters behind a usual scikit-learn pipeline, as an MLflow model.

The pipeline takes a DataFrame of the request's fields: one-hot for categories, ordinals for texts, numbers
with missing values filled, hour and weekday of the time. All boosters of the bundle then run on what comes
out, cut or filled up with zeros to the width that they expect: their answers mean nothing, their cost is that
of the bundle's.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

from services.core.bundle.manifest import read_manifest
from services.core.contract.columns import column_types
from services.core.contract.use_case import UseCase


class AllBoosters(BaseEstimator):
    """Every booster of a bundle on one matrix."""

    def __init__(self, boosters: list[xgboost.Booster]) -> None:
        self.boosters = boosters

    def fit(self, matrix: Any, labels: Any = None) -> AllBoosters:  # noqa: ARG002 - scikit-learn's signature
        self.fitted_ = True
        return self

    def predict(self, matrix: Any) -> NDArray[np.float32]:
        dense = np.asarray(matrix, dtype=np.float32)
        outputs = []
        for booster in self.boosters:
            width = booster.num_features()
            fitting = np.zeros((len(dense), width), dtype=np.float32)
            fitting[:, : dense.shape[1]] = dense[:, :width]
            outputs.append(booster.inplace_predict(fitting).reshape(len(dense), -1))
        return np.hstack(outputs)


def _clock(frame: pd.DataFrame) -> NDArray[np.float64]:
    stamps = pd.to_datetime(frame.iloc[:, 0], utc=True).dt.tz_convert("Europe/London")
    return np.column_stack([stamps.dt.hour, stamps.dt.dayofweek, stamps.dt.month]).astype(np.float64)


def rows(use_case: UseCase, bundle: Path, count: int) -> pd.DataFrame:
    """Training rows of the bundle as a caller would send them, fields that are always missing left out."""
    frame = pd.read_parquet(bundle / "reference.parquet")
    of = column_types(use_case.serving.request)
    frame = frame[[name for name in of if frame[name].notna().any()]].head(count).copy()
    for name in frame.columns:
        if of[name] == "date":
            frame[name] = frame[name].dt.strftime("%Y-%m-%d")
        elif of[name] == "time":
            frame[name] = frame[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        elif of[name] == "number":
            frame[name] = frame[name].astype(np.float64)
    return frame


def save(use_case: UseCase, bundle: Path, folder: Path) -> None:
    """Write the MLflow model."""
    frame = rows(use_case, bundle, 5_000)
    of = column_types(use_case.serving.request)
    fields = {kind: [name for name in frame.columns if of[name] in kind] for kind in _PARTS}
    encode = ColumnTransformer([(kind[0], step(), fields[kind]) for kind, step in _PARTS.items() if fields[kind]])
    boosters = []
    for name, item in read_manifest(bundle).targets.items():
        files = [bundle / "targets" / name / f"{one}.ubj" for one in (*item.members, item.lower, item.upper) if one]
        boosters += [xgboost.Booster(model_file=file) for file in files]
    pipeline = Pipeline([("encode", encode), ("boosters", AllBoosters(boosters))]).fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = infer_signature(frame.head(20), pipeline.predict(frame.head(20)))
        mlflow.sklearn.save_model(
            pipeline,
            str(folder),
            signature=signature,
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn", "xgboost"],
        )


_PARTS: dict[tuple[str, ...], Any] = {
    ("category",): lambda: OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    ("text",): lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ("number", "flag"): lambda: make_pipeline(SimpleImputer(strategy="median")),
    ("time",): lambda: FunctionTransformer(_clock),
}
