"""Model specifications: boosted trees, late fusion of modality models or any estimator that converts to ONNX, and how
examples are split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Booster:
    """One XGBoost model. ``parameters`` go to ``xgboost.train`` as they are."""

    objective: str
    rounds: int
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """Boosters whose predictions are averaged; ``lower`` and ``upper`` are the quantile boosters
    behind the interval of a ``Regression``. ``search`` bounds the optional Optuna search: parameter
    -> (low, high)."""

    members: tuple[Booster, ...]
    lower: Booster | None = None
    upper: Booster | None = None
    search: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Split:
    """How examples are cut: ``time`` trains on the past, calibrates on the next slice and tests on
    the last; ``hash`` cuts by a hash of the group column. With ``within`` (an examples column) each
    of its values is cut on its own, for data that comes in separate periods.

    ``cross`` is for data too small for a test slice: repeated cross-validation, ``folds`` parts by a hash
    of the group, cut anew in each of ``repeats``. Every part gets boosters that learned from all others;
    together they are the model. A row is calibrated, tested and put through the gate by those boosters alone
    that did not learn from its group, and a group's part never changes, so champion and challenger are both
    judged on wholly unseen rows. ``fit`` gets no labels there, since its arrays are shared by all boosters."""

    kind: Literal["time", "hash", "cross"]
    calibrate: float = 0.10
    test: float = 0.10
    within: str | None = None
    folds: int = 5
    repeats: int = 2


@dataclass(frozen=True, slots=True)
class ModalityModel:
    """One model of a ``LateFusion``: regularised least squares onto the classes, in the space of a kernel.

    ``present`` names the fact (see ``Features``) that says which rows have what the expert looks at, and
    ``fields`` the request fields that it looks at. A ``linear`` kernel is for sparse matrices; ``rbf`` is for dense
    ones, which are reduced to ``components`` principal components first, and compares a row with at most
    ``landmarks`` of the training rows; ``width`` is its reach, 1 being the spread of the training rows."""

    name: str
    matrix: str
    fields: tuple[str, ...]
    present: str
    kernel: Literal["linear", "rbf"]
    ridge: float
    components: int = 300
    landmarks: int = 6_000
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class LateFusion:
    """Experts on different parts of a request, each calibrated alone and all of them together on the calibration
    slice. A row is answered by those whose part is there; where none is, by the shares of the classes."""

    experts: tuple[ModalityModel, ...]


@dataclass(frozen=True, slots=True)
class OnnxEstimator:
    """Any estimator that converts to ONNX: scikit-learn's and pipelines of them, or LightGBM's.

    It is trained on the target's matrix (n, p) float32, in which missing values are NaN: an estimator that takes none
    needs an imputer in its pipeline. The bundle keeps its ONNX graph alone. A regression's interval is the value give
    or take the residuals of the calibration slice.

    Args:
        factory: makes the estimator, with ``fit`` and ``predict``, or ``predict_proba`` for classes; a callable or its
            path ``package.module:name``, which spares the declaration an import of the library.
        parameters: what the factory is called with. Where the estimator takes a ``random_state``, it gets the run's
            seed, and one thread where it takes ``n_jobs``.
    """

    factory: Callable[..., Any] | str
    parameters: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)


Learner = BoostedTrees | LateFusion | OnnxEstimator
