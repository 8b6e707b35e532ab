"""What Vigie's models are held against: the training rows' own average, a linear model and plain gradient
boosting, each on the request's fields as they come, without a use case's features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from services.core.contract import columns as column_tools
from services.core.contract.columns import local_time
from services.core.contract.use_case import (
    BinaryClassification,
    BinaryPrediction,
    MultiClass,
    MultiClassPrediction,
    Regression,
    RegressionPrediction,
    Target,
    TargetPrediction,
    UseCase,
)
from services.core.scoring.scored_predictions import PredictFunction

Maker = Callable[[pd.DataFrame, bool], Any]
"""(the training table, whether classes are predicted) -> an estimator."""


def plain_table(use_case: UseCase, columns: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """The request's fields as a table; a time becomes hour, weekday and time of year."""
    table: dict[str, Any] = {}
    for name, kind in column_tools.column_types(use_case.serving.request).items():
        if kind == "time":
            clock = local_time(columns[name], use_case.data.timezone or "UTC")
            table |= {f"{name}_{part}": getattr(clock, part) for part in ("hour", "weekday", "year_fraction")}
        elif kind == "date":
            table[f"{name}_year_fraction"] = local_time(columns[name], "UTC").year_fraction
        else:
            table[name] = columns[name]
    return pd.DataFrame(table)


def average(_table: pd.DataFrame, classes: bool) -> Any:
    return DummyClassifier(strategy="prior") if classes else DummyRegressor(strategy="median")


def linear(table: pd.DataFrame, classes: bool) -> Any:
    words, numbers = _words(table), [name for name in table if name not in _words(table)]
    encoded = make_column_transformer(
        (OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist"), words),
        (make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()), numbers),
    )
    return make_pipeline(encoded, LogisticRegression(max_iter=300, C=0.3) if classes else Ridge(alpha=3.0))


def boosting(table: pd.DataFrame, classes: bool) -> Any:
    words = _words(table)
    encoded = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), words), remainder="passthrough"
    )
    chosen = {"n_estimators": 200, "max_depth": 6, "learning_rate": 0.1, "n_jobs": 2}
    return make_pipeline(encoded, xgboost.XGBClassifier(**chosen) if classes else xgboost.XGBRegressor(**chosen))


def _words(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table if not pd.api.types.is_numeric_dtype(table[name])]


def extra_trees(table: pd.DataFrame, classes: bool) -> Any:
    encoded = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), _words(table)), remainder="passthrough"
    )
    forest = ExtraTreesClassifier if classes else ExtraTreesRegressor
    return make_pipeline(encoded, forest(500, random_state=0, n_jobs=2))


REFERENCES: dict[str, Maker] = {"average": average, "linear model": linear, "plain boosting": boosting}
REFERENCES_OF_FEW_ROWS: dict[str, Maker] = {"extra trees": extra_trees}


def fitted_reference(use_case: UseCase, examples: pd.DataFrame, maker: Maker) -> PredictFunction:
    """Fit one reference for every target of the use case on the training examples."""
    table = plain_table(use_case, column_tools.from_frame(use_case.serving.request, examples))
    models: dict[str, tuple[Any, NDArray[np.float64]]] = {}
    for target in use_case.modelling.targets:
        label = examples[target.label].to_numpy(dtype=np.float64, na_value=np.nan)
        known = ~np.isnan(label)
        classes = not isinstance(target.output, Regression)
        model = maker(table, classes).fit(table[known], label[known].astype(int) if classes else label[known])
        spread = np.zeros(2)
        if not classes:
            spread = np.quantile(label[known] - model.predict(table[known]), [0.05, 0.95])
        models[target.name] = (model, spread)

    def answer(
        columns: Mapping[str, NDArray[Any]], _context: Mapping[str, Any], _rows: NDArray[np.int64]
    ) -> Mapping[str, TargetPrediction]:
        asked = plain_table(use_case, columns)
        return {target.name: _value(target, *models[target.name], asked) for target in use_case.modelling.targets}

    return answer


def words_and_logistic() -> Any:
    """What anyone would try first on texts."""
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=30, max_iter=200),
    )


def average_of_classes() -> Any:
    return make_pipeline(FunctionTransformer(lambda texts: np.zeros((len(texts), 1))), DummyClassifier())


REFERENCES_OF_PICTURES: dict[str, Callable[[], Any]] = {
    "average": average_of_classes,
    "words and logistic regression": words_and_logistic,
}


def fitted_classifier(use_case: UseCase, examples: pd.DataFrame, maker: Callable[[], Any]) -> PredictFunction:
    """Fit one reference on the texts of a request, for targets whose classes are learned."""
    free = sorted(column_tools.free_text_fields(use_case.serving.request), reverse=True)

    def texts(columns: Mapping[str, NDArray[Any]]) -> list[str]:
        return [" ".join(parts) for parts in zip(*(columns[name] for name in free), strict=True)]

    known = texts(column_tools.from_frame(use_case.serving.request, examples.assign(image=None)))
    models = {target.name: maker().fit(known, examples[target.label]) for target in use_case.modelling.targets}

    def answer(
        columns: Mapping[str, NDArray[Any]], _context: Mapping[str, Any], _rows: NDArray[np.int64]
    ) -> Mapping[str, TargetPrediction]:
        asked = texts(columns)
        return {
            name: MultiClassPrediction(model.predict_proba(asked), tuple(map(str, model.classes_)))
            for name, model in models.items()
        }

    return answer


def _value(target: Target, model: Any, spread: NDArray[np.float64], table: pd.DataFrame) -> TargetPrediction:
    output = target.output
    if isinstance(output, Regression):
        value = np.asarray(model.predict(table), dtype=np.float64)
        return RegressionPrediction(value, value + spread[0], value + spread[1])
    chances = np.asarray(model.predict_proba(table), dtype=np.float64)
    if isinstance(output, BinaryClassification):
        threshold = output.cost_of_false_alarm / (output.cost_of_miss + output.cost_of_false_alarm)
        return BinaryPrediction(chances[:, 1], threshold)
    assert isinstance(output, MultiClass)
    return MultiClassPrediction(chances, output.labels)
