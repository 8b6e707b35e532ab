"""The toy use case with learners of other libraries: pipelines of scikit-learn and LightGBM."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.core.contract.use_case import OnnxEstimator, UseCase
from tests.toy.declaration import USE_CASE


def imputed_ridge(alpha: float = 1.0) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(), StandardScaler(), Ridge(alpha=alpha))


def scaled_logistic(c: float = 1.0) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=c))


LEARNERS = {
    "seconds": OnnxEstimator("tests.toy.estimators:imputed_ridge", {"alpha": 0.5}),
    "late": OnnxEstimator("lightgbm:LGBMClassifier", {"n_estimators": 30, "num_leaves": 7, "verbose": -1}),
    "size": OnnxEstimator(scaled_logistic),
}


def with_learners(**learners: OnnxEstimator) -> UseCase:
    """The toy use case, these targets learned by these."""
    targets = tuple(
        replace(target, learner=learners.get(target.name, target.learner)) for target in USE_CASE.modelling.targets
    )
    return replace(USE_CASE, modelling=replace(USE_CASE.modelling, targets=targets))


ESTIMATORS = with_learners(**LEARNERS)
