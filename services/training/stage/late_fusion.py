"""Trains modality models (linear SVM, kernel least squares) and learns how a late fusion weighs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any, NamedTuple, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from services.core.bundle.calibration import FusionCalibration, FusionWeights, subset_name
from services.core.bundle.manifest import save_arrays
from services.core.contract.sparse import SparseRows
from services.core.contract.use_case import Arrays, LateFusion, ModalityModel, MultiClass, Target
from services.core.errors import VigieError
from services.training.stage.splitting import assign_folds
from services.training.stage.training_data import OutOfFoldFeatures, TrainingContext

Floats = NDArray[np.float64]

_POWER_ITERATIONS = 3
_OVERSAMPLING = 10
"""Directions that the search for principal components follows beyond those that are returned."""


class LearningRows(NamedTuple):
    """Rows of a modality model: ``matrix`` (n, p) or ``SparseRows``, ``label`` (n,) in 0..k-1 and ``weight`` (n,)."""

    matrix: Any
    label: NDArray[np.int64]
    weight: NDArray[np.float64]
    classes: int


def fit_modality_model(
    expert: ModalityModel, rows: LearningRows, seed: int, folds: NDArray[np.int64]
) -> tuple[Arrays, Floats]:
    """Fit a modality model and its out-of-fold scores. Equal rows, folds and seed give equal arrays.

    Args:
        expert: Declared kernel and hyperparameters.
        rows: Features (n, p), labels (n,) and weights (n,).
        seed: Of the random generator.
        folds: Fold int64 (n,) of each row.

    Returns:
        The model's arrays, and float64 (n, k): the score of each row by a model that its fold took no part in.

    Raises:
        VigieError: The rows are of fewer than two classes.
    """
    if len(np.unique(rows.label)) < 2:
        raise VigieError(
            f"The expert {expert.name} has {len(rows.label)} rows of fewer than two classes to learn from.",
            expected="rows of several classes that have what it looks at",
            action="Ingest more data.",
        )
    kind: _KernelLearner = (
        _LinearLearner(expert, rows, seed) if expert.kernel == "linear" else _RbfLearner(expert, rows, seed)
    )
    held_out = np.zeros((len(rows.label), rows.classes))
    for fold in np.unique(folds):
        here, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if len(others):
            held_out[here] = kind.scores(kind.fit(others), here)
    return kind.arrays(kind.fit(np.arange(len(rows.label)))), held_out


def silent_model(expert: ModalityModel, rows: LearningRows) -> Arrays:
    """Arrays of a model that scores every class 0.

    Args:
        expert: The modality's declaration.
        rows: Its training rows, of which the matrix (n, p) gives the shapes.

    Returns:
        For a linear kernel ``weights`` (p, k) and ``offsets`` (k,) of k classes, otherwise also what projects rows:
        ``mean`` (p,), ``components`` (1, p), ``landmarks`` (1, 1), ``coefficients`` (1, k) and ``gamma`` (), float32.
    """
    zeros = np.zeros(rows.classes, dtype=np.float32)
    if expert.kernel == "linear":
        return {"weights": np.zeros((rows.matrix.width, rows.classes), dtype=np.float32), "offsets": zeros}
    width = rows.matrix.shape[1]
    return {
        "mean": np.zeros(width, dtype=np.float32),
        "components": np.zeros((1, width), dtype=np.float32),
        "landmarks": np.zeros((1, 1), dtype=np.float32),
        "coefficients": np.zeros((1, rows.classes), dtype=np.float32),
        "offsets": zeros,
        "gamma": np.array(1.0, dtype=np.float32),
    }


class _KernelLearner(Protocol):
    """One kernel's learning method; what ``fit`` returns is for its own other methods."""

    def fit(self, chosen: NDArray[np.int64]) -> Any: ...

    def scores(self, fitted: Any, chosen: NDArray[np.int64]) -> Floats: ...

    def arrays(self, fitted: Any) -> Arrays: ...


class _LinearLearner:
    """One class against the rest, squared hinge loss (LIBLINEAR, Fan et al. 2008)."""

    def __init__(self, expert: ModalityModel, rows: LearningRows, seed: int) -> None:
        from scipy.sparse import csr_matrix  # noqa: PLC0415

        sparse: SparseRows = rows.matrix
        # LIBLINEAR counts in 32 bits and in doubles.
        parts = (sparse.values.astype(np.float64), sparse.places.astype(np.int32), sparse.starts.astype(np.int32))
        self._table = csr_matrix(parts, shape=(len(sparse), sparse.width))
        self._expert, self._rows, self._seed = expert, rows, seed

    def fit(self, chosen: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Weights (p, k) and offsets (k,), from these rows."""
        from sklearn.svm import LinearSVC  # noqa: PLC0415

        label, weight = self._rows.label[chosen], self._rows.weight[chosen]
        weights = np.zeros((self._table.shape[1], self._rows.classes))
        offsets = np.full(self._rows.classes, -1.0)
        if len(np.unique(label)) < 2:
            return weights, offsets
        model = LinearSVC(C=1 / self._expert.ridge, dual=True, random_state=self._seed, max_iter=5_000)
        model.fit(self._table[chosen], label, sample_weight=weight)
        found, cut = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            found, cut = np.vstack([-found, found]), np.concatenate([-cut, cut])
        weights[:, model.classes_], offsets[model.classes_] = found.T, cut
        return weights, offsets

    def scores(self, fitted: tuple[Floats, Floats], chosen: NDArray[np.int64]) -> Floats:
        found: Floats = self._table[chosen] @ fitted[0] + fitted[1]
        return found

    def arrays(self, fitted: tuple[Floats, Floats]) -> Arrays:
        return {"weights": fitted[0].astype(np.float32), "offsets": fitted[1].astype(np.float32)}


class _Solution(NamedTuple):
    landmarks: NDArray[np.float32]
    coefficients: Floats
    offsets: Floats


class _RbfLearner:
    """Least squares onto the classes in the space of a Gaussian kernel (Suykens and Vandewalle 1999).

    With more rows than landmarks, landmarks span the solution (Williams and Seeger 2001); components are of all rows.
    """

    def __init__(self, expert: ModalityModel, rows: LearningRows, seed: int) -> None:
        matrix: NDArray[np.float32] = rows.matrix
        self._mean = matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._components = principal_components(matrix - self._mean, expert.components, seed)
        self._places = (matrix - self._mean) @ self._components.T
        self._gamma = expert.width / max(float(self._places.var(axis=0, dtype=np.float64).sum()), 1e-12)
        self._expert, self._rows, self._seed = expert, rows, seed

    def fit(self, chosen: NDArray[np.int64]) -> _Solution:
        from scipy.linalg import cho_factor, cho_solve  # noqa: PLC0415

        places, label = self._places[chosen], self._rows.label[chosen]
        share = self._rows.weight[chosen] / self._rows.weight[chosen].mean()
        count = min(len(places), self._expert.landmarks)
        landmarks = places[np.sort(np.random.default_rng(self._seed).choice(len(places), count, replace=False))]
        wanted = np.eye(self._rows.classes)[label]
        offsets = np.average(wanted, axis=0, weights=share)
        wanted -= offsets
        if count == len(places):
            system, right = rbf_kernel(landmarks, landmarks, self._gamma), wanted
            system[np.diag_indices_from(system)] += self._expert.ridge / share
        else:
            system, right = np.zeros((count, count)), np.zeros((count, self._rows.classes))
            for start in range(0, len(places), count):
                here = slice(start, start + count)
                near = rbf_kernel(places[here], landmarks, self._gamma)
                system += (near * share[here, None]).T @ near
                right += (near * share[here, None]).T @ wanted[here]
            system += self._expert.ridge * rbf_kernel(landmarks, landmarks, self._gamma)
            system[np.diag_indices_from(system)] += 1e-6 * len(places)
        return _Solution(landmarks, cho_solve(cho_factor(system, overwrite_a=True), right), offsets)

    def scores(self, fitted: _Solution, chosen: NDArray[np.int64]) -> Floats:
        near = rbf_kernel(self._places[chosen], fitted.landmarks, self._gamma)
        found: Floats = near @ fitted.coefficients + fitted.offsets
        return found

    def arrays(self, fitted: _Solution) -> Arrays:
        return {
            "mean": self._mean,
            "components": self._components.astype(np.float32),
            "landmarks": fitted.landmarks.astype(np.float32),
            "coefficients": fitted.coefficients.astype(np.float32),
            "offsets": fitted.offsets.astype(np.float32),
            "gamma": np.float32(self._gamma),
        }


def rbf_kernel(rows: NDArray[np.float32], others: NDArray[np.float32], gamma: float) -> NDArray[np.float64]:
    """Gaussian kernel exp(-gamma * squared distance), float64 (n, m), of rows (n, p) and others (m, p)."""
    distance = (rows @ others.T).astype(np.float64)
    distance *= -2
    distance += np.einsum("ij,ij->i", rows, rows)[:, None]
    distance += np.einsum("ij,ij->i", others, others)[None, :]
    np.maximum(distance, 0, out=distance)
    distance *= -gamma
    return np.exp(distance, out=distance)


def principal_components(centred: NDArray[np.float32], wanted: int, seed: int) -> NDArray[np.float32]:
    """First directions (k, p) of centred rows (n, p), by subspace iteration (Halko, Martinsson and Tropp 2011)."""
    kept = min(wanted, *centred.shape)
    width = min(kept + _OVERSAMPLING, *centred.shape)
    found = np.random.default_rng(seed).standard_normal((width, centred.shape[1]), dtype=np.float32)
    for _ in range(_POWER_ITERATIONS):
        basis = np.linalg.qr(centred @ found.T)[0]
        found = np.ascontiguousarray(np.linalg.qr(centred.T @ basis)[0].T)
    _, _, turned = np.linalg.svd(np.linalg.qr(centred @ found.T)[1])
    directions: NDArray[np.float32] = (turned @ found)[:kept]
    return directions


_MIN_ROWS = 5
"""Rows that a set of experts is weighed by, at least."""


def fit_late_fusions(
    run: TrainingContext,
    rows: NDArray[np.int64],
    labels: Mapping[str, NDArray[np.float64]],
    features: OutOfFoldFeatures,
) -> None:
    """Train and weigh the modality models of every late fusion; write their arrays and ``calibration.json``.

    A model whose modality no row has learns nothing and weighs nothing, as long as another one learns.

    They are weighed by out-of-fold scores (stacking, Wolpert 1992): no row is lost to learning or weighing. ``rows``:
    positions int64 (n,) of the training rows; ``labels``: target -> (n,); ``features``: of the n rows.
    """
    folds = assign_folds(run.use_case, run.data.examples, run.params.folds, run.params.seed)[rows]
    jobs = [(target, expert) for target in run.use_case.modelling.targets for expert in _modality_models(target)]

    def fit(job: tuple[Target, ModalityModel]) -> Floats:
        target, expert = job
        assert isinstance(target.output, MultiClass)
        label = labels[target.name]
        chosen = np.flatnonzero(~np.isnan(label) & np.asarray(features.extras[expert.present], dtype=bool))
        learning = LearningRows(
            features.matrices[expert.matrix][chosen],
            label[chosen].astype(np.int64),
            run.data.weights[target.name][rows][chosen],
            len(target.output.labels),
        )
        if not len(chosen) and any(np.any(features.extras[other.present]) for other in _modality_models(target)):
            structlog.get_logger().warning(
                "no training row has what this model looks at: it learns nothing and is not used",
                model=expert.name,
                fields=list(expert.fields),
            )
            arrays, held_out = silent_model(expert, learning), np.zeros((0, learning.classes))
        else:
            arrays, held_out = fit_modality_model(expert, learning, run.params.seed, folds[chosen])
        save_arrays(run.target_folder(target.name) / f"{expert.name}.npz", arrays)
        scores = np.full((len(rows), learning.classes), np.nan)
        scores[chosen] = held_out
        return scores

    with ThreadPoolExecutor(max_workers=run.params.threads) as pool:
        found = dict(zip([(t.name, e.name) for t, e in jobs], pool.map(fit, jobs), strict=True))
    for target in run.use_case.modelling.targets:
        if _modality_models(target):
            scores = {expert.name: found[target.name, expert.name] for expert in _modality_models(target)}
            weighing = fit_fusion_weights(scores, labels[target.name], run.data.weights[target.name][rows])
            path = run.target_folder(target.name) / "calibration.json"
            path.write_text(weighing.model_dump_json(indent=1) + "\n", encoding="utf-8")


def fit_fusion_weights(scores: Mapping[str, Floats], label: Floats, weight: Floats) -> FusionCalibration:
    """Weigh each set of modality models by scores (n, k), NaN where a row lacks the modality, label and weight (n,)."""
    shares = class_priors(label, weight, next(iter(scores.values())).shape[1])
    subsets: dict[str, FusionWeights] = {}
    for size in range(1, len(scores) + 1):
        for names in combinations(scores, size):
            stacked = np.stack([scores[name] for name in names])
            known = np.flatnonzero(~np.isnan(stacked).any(axis=(0, 2)) & ~np.isnan(label))
            silent = [name for name in names if np.isnan(scores[name]).all()]
            if silent:
                others = subsets.get(subset_name([name for name in names if name not in silent]))
                slopes = dict.fromkeys(silent, 0.0) | (others.slopes if others else {})
                offsets = others.offsets if others else np.log(shares).tolist()
                subsets[subset_name(names)] = FusionWeights(slopes=slopes, offsets=offsets)
                continue
            subsets[subset_name(names)] = fit_weights(stacked[:, known], label[known].astype(np.int64), names, shares)
    return FusionCalibration(subsets=subsets, prior=shares.tolist())


def fit_weights(scores: Floats, outcome: NDArray[np.int64], names: Sequence[str], shares: Floats) -> FusionWeights:
    """Fit slopes and offsets that minimise the log loss of ``scores`` (experts, n, k) for outcomes int64 (n,).

    A penalty holds the offsets small: few rows say little about thirty classes. Without rows ``shares`` (k,) decide.
    """
    from scipy.optimize import minimize  # noqa: PLC0415

    experts, count, width = scores.shape
    if count < _MIN_ROWS:
        return FusionWeights(slopes=dict.fromkeys(names, 1.0), offsets=np.log(shares).tolist())
    spread = np.maximum(scores.std(axis=(1, 2)), 1e-9)
    scaled = scores / spread[:, None, None]
    truth = np.eye(width)[outcome]

    def loss(values: Floats) -> tuple[float, Floats]:
        slopes, offsets = values[:experts], values[experts:]
        logits = np.tensordot(slopes, scaled, axes=1) + offsets
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        total = powers.sum(axis=1, keepdims=True)
        error = (powers / total - truth) / count
        value = -np.sum(truth * (logits - np.log(total))) / count + np.sum(offsets**2) / count
        gradient = np.concatenate([np.tensordot(scaled, error, axes=2), error.sum(axis=0) + 2 * offsets / count])
        return float(value), gradient

    start = np.concatenate([np.ones(experts), np.zeros(width)])
    bounds = [(0.0, None)] * experts + [(None, None)] * width
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = (found[:experts] / spread).tolist()
    return FusionWeights(slopes=dict(zip(names, slopes, strict=True)), offsets=found[experts:].tolist())


def class_priors(label: Floats, weight: Floats, classes: int) -> Floats:
    """Class frequencies (k,) of label and weight (n,), with one row more for each (Laplace): none is impossible."""
    known = ~np.isnan(label)
    counts = np.bincount(label[known].astype(np.int64), weight[known], minlength=classes) + 1.0
    shares: Floats = counts / counts.sum()
    return shares


def _modality_models(target: Target) -> tuple[ModalityModel, ...]:
    return target.learner.modality_models if isinstance(target.learner, LateFusion) else ()
