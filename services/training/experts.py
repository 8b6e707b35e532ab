"""Training the experts of a late fusion. What comes out are arrays; ``services.core.bundle.experts`` answers with
them."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from services.core.errors import VigieError
from services.core.usecases.contract import Arrays, Expert
from services.core.usecases.sparse import SparseRows

Floats = NDArray[np.float64]

_POWER_ROUNDS = 3
_MORE_COMPONENTS = 10
"""Directions that the search for principal components follows beside those that are kept."""


class LearningRows(NamedTuple):
    """``matrix`` (n, p) or ``SparseRows``; ``label`` (n,) below ``classes``, which need not all occur."""

    matrix: Any
    label: NDArray[np.int64]
    weight: NDArray[np.float64]
    classes: int


def fit_expert(expert: Expert, rows: LearningRows, seed: int, folds: NDArray[np.int64]) -> tuple[Arrays, Floats]:
    """The expert's arrays, learned from these rows, and the score (n, k) that each row gets where its fold (n,) took
    no part. The same rows, folds and seed give the same arrays.

    Raises:
        VigieError: the rows are of fewer than two classes.
    """
    if len(np.unique(rows.label)) < 2:
        raise VigieError(
            f"The expert {expert.name} has {len(rows.label)} rows of fewer than two classes to learn from.",
            expected="rows of several classes that have what it looks at",
            action="Ingest more data.",
        )
    kind: _Kind = _Linear(expert, rows, seed) if expert.kernel == "linear" else _Kernel(expert, rows, seed)
    held_out = np.zeros((len(rows.label), rows.classes))
    for fold in np.unique(folds):
        here, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if len(others):
            held_out[here] = kind.scores(kind.fit(others), here)
    return kind.arrays(kind.fit(np.arange(len(rows.label)))), held_out


class _Kind(Protocol):
    """How one kernel learns; what ``fit`` returns is for its own other methods."""

    def fit(self, chosen: NDArray[np.int64]) -> Any: ...

    def scores(self, fitted: Any, chosen: NDArray[np.int64]) -> Floats: ...

    def arrays(self, fitted: Any) -> Arrays: ...


class _Linear:
    """One class against the rest, squared hinge loss (LIBLINEAR, Fan et al. 2008)."""

    def __init__(self, expert: Expert, rows: LearningRows, seed: int) -> None:
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


class _Kernel:
    """Least squares onto the classes in the space of a Gaussian kernel (Suykens and Vandewalle 1999). With more rows
    than landmarks, only combinations of landmarks are looked for (Williams and Seeger 2001). The principal components
    look at no label and are those of all rows."""

    def __init__(self, expert: Expert, rows: LearningRows, seed: int) -> None:
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
            system, right = closeness(landmarks, landmarks, self._gamma), wanted
            system[np.diag_indices_from(system)] += self._expert.ridge / share
        else:
            system, right = np.zeros((count, count)), np.zeros((count, self._rows.classes))
            for start in range(0, len(places), count):
                here = slice(start, start + count)
                near = closeness(places[here], landmarks, self._gamma)
                system += (near * share[here, None]).T @ near
                right += (near * share[here, None]).T @ wanted[here]
            system += self._expert.ridge * closeness(landmarks, landmarks, self._gamma)
            system[np.diag_indices_from(system)] += 1e-6 * len(places)
        return _Solution(landmarks, cho_solve(cho_factor(system, overwrite_a=True), right), offsets)

    def scores(self, fitted: _Solution, chosen: NDArray[np.int64]) -> Floats:
        near = closeness(self._places[chosen], fitted.landmarks, self._gamma)
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


def closeness(rows: NDArray[np.float32], others: NDArray[np.float32], gamma: float) -> NDArray[np.float64]:
    """The Gaussian kernel (n, m)."""
    distance = (rows @ others.T).astype(np.float64)
    distance *= -2
    distance += np.einsum("ij,ij->i", rows, rows)[:, None]
    distance += np.einsum("ij,ij->i", others, others)[None, :]
    np.maximum(distance, 0, out=distance)
    distance *= -gamma
    return np.exp(distance, out=distance)


def principal_components(centred: NDArray[np.float32], wanted: int, seed: int) -> NDArray[np.float32]:
    """The first directions (k, p) of centred rows (n, p), by randomised subspace iteration (Halko, Martinsson and
    Tropp 2011)."""
    kept = min(wanted, *centred.shape)
    width = min(kept + _MORE_COMPONENTS, *centred.shape)
    found = np.random.default_rng(seed).standard_normal((width, centred.shape[1]), dtype=np.float32)
    for _ in range(_POWER_ROUNDS):
        basis = np.linalg.qr(centred @ found.T)[0]
        found = np.ascontiguousarray(np.linalg.qr(centred.T @ basis)[0].T)
    _, _, turned = np.linalg.svd(np.linalg.qr(centred @ found.T)[1])
    directions: NDArray[np.float32] = (turned @ found)[:kept]
    return directions
