"""Models of a late fusion, one per modality, evaluated in NumPy alone.

Each row is computed by itself, so that a row alone and in a batch is equal bit for bit, and by ``einsum``, because a
linear algebra library splits its sums by the number of threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.core.bundle.calibration import FusionCalibration, subset_name
from services.core.bundle.manifest import load_arrays
from services.core.contract.learners import ModalityModel
from services.core.contract.sparse import SparseRows

Floats = NDArray[np.float32]


class ModalityScorer(Protocol):
    """Scores of one row for every class (k,)."""

    def __call__(self, matrix: Any, row: int) -> Floats: ...


class LinearModel:
    """Weights (p, k) and offsets (k,) on sparse rows."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._weights: Floats = np.ascontiguousarray(arrays["weights"], dtype=np.float32)
        self._offsets: Floats = arrays["offsets"].astype(np.float32)

    def __call__(self, matrix: SparseRows, row: int) -> Floats:
        places, values = matrix.row(row)
        scores: Floats = np.einsum("i,ij->j", values, self._weights[places]) + self._offsets
        return scores


class RbfKernelModel:
    """Principal components, then closeness to landmarks, then coefficients (m, k)."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._components: Floats = np.ascontiguousarray(arrays["components"], dtype=np.float32)
        self._centre = _matrix_vector(self._components, arrays["mean"].astype(np.float32))
        self._landmarks: Floats = np.ascontiguousarray(arrays["landmarks"], dtype=np.float32)
        self._lengths: Floats = np.einsum("ij,ij->i", self._landmarks, self._landmarks)
        self._coefficients: Floats = np.ascontiguousarray(arrays["coefficients"].T, dtype=np.float32)
        self._offsets: Floats = arrays["offsets"].astype(np.float32)
        self._gamma = np.float32(arrays["gamma"])

    def __call__(self, matrix: Floats, row: int) -> Floats:
        place = _matrix_vector(self._components, matrix[row]) - self._centre
        distance = self._lengths + np.einsum("i,i->", place, place) - 2 * _matrix_vector(self._landmarks, place)
        closeness = np.exp(np.maximum(distance, 0) * -self._gamma)
        return _matrix_vector(self._coefficients, closeness) + self._offsets


def _matrix_vector(table: Floats, vector: Floats) -> Floats:
    found: Floats = np.einsum("ij,j->i", table, vector)
    return found


_MODEL_TYPES: Mapping[str, type[LinearModel] | type[RbfKernelModel]] = {"linear": LinearModel, "rbf": RbfKernelModel}


class LateFusionModel:
    """The experts of one target, loaded, with what weighs their scores against each other."""

    def __init__(self, experts: Sequence[ModalityModel], folder: Path, calibration: FusionCalibration) -> None:
        self._experts = experts
        self._scores = load_modality_models(experts, folder)
        self._weighing = {
            name: (np.array([subset.slopes[e] for e in name.split("+")]), np.array(subset.offsets))
            for name, subset in calibration.subsets.items()
        }
        self._prior = np.array(calibration.prior)

    def __call__(self, matrices: Mapping[str, Any], facts: Mapping[str, Any]) -> NDArray[np.float64]:
        """Probabilities (n, k) of the classes."""
        present = [np.asarray(facts[expert.present]) for expert in self._experts]
        answers = np.empty((len(present[0]), len(self._prior)))
        for row in range(len(answers)):
            here = [place for place, known in enumerate(present) if known[row]]
            if not here:
                answers[row] = self._prior
                continue
            slopes, logits = self._weighing[subset_name(self._experts[place].name for place in here)]
            for slope, place in zip(slopes, here, strict=True):
                logits = logits + slope * self._scores[place](matrices[self._experts[place].matrix], row)
            powers = np.exp(logits - np.maximum.reduce(logits))
            answers[row] = powers / np.add.reduce(powers)
        return answers


def load_modality_models(experts: Sequence[ModalityModel], folder: Path) -> list[ModalityScorer]:
    """The experts' arrays in ``folder``, ready to answer."""
    return [_MODEL_TYPES[expert.kernel](load_arrays(folder / f"{expert.name}.npz")) for expert in experts]
