"""Models of a late fusion, one per modality, evaluated in NumPy alone.

Each row is computed by itself, so that a row alone and in a batch is equal bit for bit, and by ``einsum``, because a
linear algebra library splits its sums by the number of threads.
"""

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
    """A model that scores one row for every class."""

    def __call__(self, matrix: Any, row: int) -> Floats:
        """Compute the scores of one row, before softmax.

        Args:
            matrix: The expert's matrix: float32 (n, p), or ``SparseRows``.
            row: Number of the row.

        Returns:
            One score per class, float32 (k,).
        """
        ...


class LinearModel:
    """A linear model of sparse rows.

    Args:
        arrays: ``weights`` (p, k) and ``offsets`` (k,), used as float32.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._weights: Floats = np.ascontiguousarray(arrays["weights"], dtype=np.float32)
        self._offsets: Floats = arrays["offsets"].astype(np.float32)

    def __call__(self, matrix: SparseRows, row: int) -> Floats:
        """Compute the scores of one row of a sparse matrix (n, p): float32 (k,)."""
        places, values = matrix.row(row)
        scores: Floats = np.einsum("i,ij->j", values, self._weights[places]) + self._offsets
        return scores


class RbfKernelModel:
    """A kernel machine with m landmarks: principal components, then an RBF kernel, then a linear map.

    Landmarks stand for all training rows (Nyström's approximation; Williams and Seeger 2001).

    Args:
        arrays: ``components`` (q, p), ``mean`` (p,), ``landmarks`` (m, q), ``coefficients`` (m, k), ``offsets`` (k,)
            and the scalar ``gamma``, used as float32.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._components: Floats = np.ascontiguousarray(arrays["components"], dtype=np.float32)
        self._centre = _matrix_vector(self._components, arrays["mean"].astype(np.float32))
        self._landmarks: Floats = np.ascontiguousarray(arrays["landmarks"], dtype=np.float32)
        self._lengths: Floats = np.einsum("ij,ij->i", self._landmarks, self._landmarks)
        self._coefficients: Floats = np.ascontiguousarray(arrays["coefficients"].T, dtype=np.float32)
        self._offsets: Floats = arrays["offsets"].astype(np.float32)
        self._gamma = np.float32(arrays["gamma"])

    def __call__(self, matrix: Floats, row: int) -> Floats:
        """Compute the scores of one row of a float32 matrix (n, p): float32 (k,)."""
        place = _matrix_vector(self._components, matrix[row]) - self._centre
        distance = self._lengths + np.einsum("i,i->", place, place) - 2 * _matrix_vector(self._landmarks, place)
        closeness = np.exp(np.maximum(distance, 0) * -self._gamma)
        return _matrix_vector(self._coefficients, closeness) + self._offsets


def _matrix_vector(table: Floats, vector: Floats) -> Floats:
    found: Floats = np.einsum("ij,j->i", table, vector)
    return found


_MODEL_TYPES: Mapping[str, type[LinearModel] | type[RbfKernelModel]] = {"linear": LinearModel, "rbf": RbfKernelModel}


class LateFusionModel:
    """The loaded experts of one target, with the weights that make probabilities of their scores.

    Args:
        experts: The declared experts.
        folder: The target's folder in the bundle.
        calibration: The weights of each set of experts.
    """

    def __init__(self, experts: Sequence[ModalityModel], folder: Path, calibration: FusionCalibration) -> None:
        self._experts = experts
        self._scores = load_modality_models(experts, folder)
        self._weighing = {
            name: (np.array([subset.slopes[e] for e in name.split("+")]), np.array(subset.offsets))
            for name, subset in calibration.subsets.items()
        }
        self._prior = np.array(calibration.prior)

    def __call__(self, matrices: Mapping[str, Any], facts: Mapping[str, Any]) -> NDArray[np.float64]:
        """Compute the probabilities of the k classes.

        Args:
            matrices: Matrix name -> float32 (n, p), or ``SparseRows`` of n rows.
            facts: Extra -> (n,); those named by ``ModalityModel.present`` say which rows have what an expert reads.

        Returns:
            float64 (n, k); the classes' shares where a row has nothing that any expert reads.
        """
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
    """Load the experts of a late fusion.

    Args:
        experts: The declared experts.
        folder: Where their arrays are: ``<expert>.npz``.

    Returns:
        One model per expert, in their order; each gives float32 (k,) for a row.
    """
    return [_MODEL_TYPES[expert.kernel](load_arrays(folder / f"{expert.name}.npz")) for expert in experts]
