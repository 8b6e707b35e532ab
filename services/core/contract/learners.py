"""Targets and how they are learned: model specifications, splits, scenarios, slices and guardrails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from services.core.contract.fields import Text
from services.core.contract.outputs import Output
from services.deprecated_names import accepts_old_fields


@accepts_old_fields(rounds="num_boost_round")
@dataclass(frozen=True, slots=True)
class Booster:
    """One XGBoost model.

    Attributes:
        objective: XGBoost's objective, for example ``reg:squarederror``.
        num_boost_round: How many trees (per class).
        parameters: Hyperparameters; they go to ``xgboost.train`` as they are.
    """

    objective: str
    num_boost_round: int
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """Boosters whose predictions are averaged.

    Attributes:
        members: The boosters of the value.
        lower: The quantile booster below the interval of a ``Regression``.
        upper: The quantile booster above it.
        search: Bounds of the optional Optuna search: parameter -> (low, high).
    """

    members: tuple[Booster, ...]
    lower: Booster | None = None
    upper: Booster | None = None
    search: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Split:
    """How examples are cut into training, calibration and test rows.

    ``time`` trains on the past, calibrates on the next slice and tests on the last; ``hash`` cuts by a hash of the
    group.

    ``cross`` is for data too small for a test slice: repeated cross-validation, ``folds`` parts by a hash
    of the group, cut anew in each of ``repeats``. Every part gets boosters that learned from all others;
    together they are the model. A row is calibrated, tested and put through the gate by those boosters alone
    that did not learn from its group, and a group's part never changes, so champion and challenger are both
    judged on wholly unseen rows. ``fit`` gets no labels there, since its arrays are shared by all boosters.

    Attributes:
        kind: ``time``, ``hash`` or ``cross``.
        calibrate: Share of the calibration slice, 0 to 1.
        test: Share of the test slice, 0 to 1.
        within: Column of the examples of which each value is cut on its own, for data in separate periods.
        folds: Parts of a cross-validation.
        repeats: How often the parts are cut anew.
    """

    kind: Literal["time", "hash", "cross"]
    calibrate: float = 0.10
    test: float = 0.10
    within: str | None = None
    folds: int = 5
    repeats: int = 2


@dataclass(frozen=True, slots=True)
class ModalityModel:
    """One model of a ``LateFusion``: regularised least squares onto the classes, in the space of a kernel.

    Attributes:
        name: Name of the model, in the bundle and in metrics.
        matrix: The matrix that it sees (see ``Features``).
        fields: The request fields that it looks at.
        present: The extra (see ``Features``) that says which rows have what it looks at, (n,).
        kernel: ``linear`` for sparse matrices, ``rbf`` for dense ones.
        ridge: Regularisation, above 0.
        components: Principal components to which an ``rbf`` matrix is reduced first.
        landmarks: Most training rows with which an ``rbf`` kernel compares a row.
        width: Reach of an ``rbf`` kernel; 1 is the spread of the training rows.
    """

    name: str
    matrix: str
    fields: tuple[str, ...]
    present: str
    kernel: Literal["linear", "rbf"]
    ridge: float
    components: int = 300
    landmarks: int = 6_000
    width: float = 1.0


@accepts_old_fields(experts="modality_models")
@dataclass(frozen=True, slots=True)
class LateFusion:
    """Models of different parts of a request, combined into one answer.

    Each is calibrated alone and all of them together on the calibration slice. A row is answered by those whose part is
    there; where none is, by the shares of the classes.

    Attributes:
        modality_models: The models.
    """

    modality_models: tuple[ModalityModel, ...]


@dataclass(frozen=True, slots=True)
class OnnxEstimator:
    """Any estimator that converts to ONNX: scikit-learn's and pipelines of them, or LightGBM's.

    It is trained on the target's matrix (n, p) float32, in which missing values are NaN: an estimator that takes none
    needs an imputer in its pipeline. The bundle keeps its ONNX graph alone. A regression's interval is the value give
    or take the residuals of the calibration slice.

    Attributes:
        factory: makes the estimator, with ``fit`` and ``predict``, or ``predict_proba`` for classes; a callable or its
            path ``package.module:name``, which spares the declaration an import of the library.
        parameters: what the factory is called with. Where the estimator takes a ``random_state``, it gets the run's
            seed, and one thread where it takes ``n_jobs``.
    """

    factory: Callable[..., Any] | str
    parameters: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)


Learner = BoostedTrees | LateFusion | OnnxEstimator


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that a challenger must not worsen.

    Attributes:
        metric: Name of the metric.
        limit: By how much it may be worse, absolute, in its unit.
    """

    metric: str
    limit: float


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What another label of the same outcome says about a target's own, such as a decision that follows from a number.

    Attributes:
        label: The label that decides.
        agrees: Whether the two agree: (its value, the own value), as they are reported.
        says: The rule in words, for refusals.
    """

    label: str
    agrees: Callable[[Any, Any], bool]
    says: str


@accepts_old_fields(guards="guardrails", reported="reported_metrics")
@dataclass(frozen=True, slots=True)
class Target:
    """One thing to predict. Its rows are the examples whose label is not missing.

    Attributes:
        name: Name of the target, in bundles, metrics and predictions.
        title: What people call it.
        label: Column of the examples that holds the truth, float64 (class indices or names for ``MultiClass``).
        output: Its kind, with unit, costs or classes.
        matrix: What its boosters see (see ``Features``); blank for a ``LateFusion``, whose models name their own.
        learner: How it is learned.
        metric: What the gate compares.
        guardrails: Metrics that a challenger must not worsen.
        weight: Column of the examples that holds row weights, above 0.
        split: How its rows are cut, where that differs from the use case's.
        reported_metrics: Metrics that are reported.
        follows: The label that rules out some values of this one.
    """

    name: str
    title: Text
    label: str
    output: Output
    matrix: str
    learner: Learner
    metric: str
    guardrails: tuple[Guardrail, ...] = ()
    weight: str | None = None
    split: Split | None = None
    reported_metrics: tuple[str, ...] = ()
    follows: LabelRule | None = None

    def contradicted_by(self, labels: Mapping[str, Any]) -> bool:
        """Whether the reported ``labels`` hold a value of this target that another of them rules out."""
        if self.follows is None:
            return False
        other, own = labels.get(self.follows.label), labels.get(self.label)
        return other is not None and own is not None and not self.follows.agrees(other, own)


@accepts_old_fields(beside="report_as")
@dataclass(frozen=True, slots=True)
class InputScenario:
    """The same rows as a caller with less knowledge would send them.

    Attributes:
        name: What they are scored under.
        target: The target that is predicted.
        apply: For whatever is different beside ``without``: gets columns and context and returns both, changed copies.
        training_weight: Above 0, the rows are added to the training rows with that weight.
        report_as: Metric -> its name among the target's own, in place of an entry for the scenario.
        without: The request fields that such a caller does not send.
    """

    name: str
    target: str
    apply: Callable[[dict[str, Any], Mapping[str, Any]], tuple[dict[str, Any], Mapping[str, Any]]] | None = None
    training_weight: float = 0.0
    report_as: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvaluationSlice:
    """Rows of a target, or of a scenario, that are scored on their own as well.

    Attributes:
        name: What they are scored under.
        target: Name of the target or scenario.
        column: Column of the examples.
        value: What it holds in these rows.
        metrics: Those that are reported; without any the target's.
    """

    name: str
    target: str
    column: str
    value: str
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subgroup:
    """A column of the examples for each of whose values metrics are reported and guarded.

    Attributes:
        column: Name of the column.
        title: What people call it.
    """

    column: str
    title: Text
