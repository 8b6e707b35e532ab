"""The arithmetic of learning: means that lean towards what is usual, and maps of the squares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def leaning_mean(key: Ints, size: int, values: Floats, weight: float, usual: Floats | float = 0.0) -> Floats:
    """Mean of ``values`` per key (size,), as if ``weight`` more rows of each key had been ``usual``
    (empirical Bayes; Micci-Barreca 2001)."""
    total = np.bincount(key, values, size)
    count = np.bincount(key, minlength=size)
    result: Floats = (total + weight * usual) / (count + weight)
    return result


def place_map(cell: Ints, shape: tuple[int, int], values: Floats, reach: float, weight: float) -> Floats:
    """What the nearest past incidents say in each square: the kernel-weighted mean of their values,
    ``reach`` squares wide, leaning towards 0 with ``weight`` (Nadaraya 1964, Watson 1964)."""
    size = shape[0] * shape[1]
    total = blurred(np.bincount(cell, values, size).reshape(shape).astype(np.float64), reach)
    count = blurred(np.bincount(cell, minlength=size).reshape(shape).astype(np.float64), reach)
    return (total / (count + weight)).ravel()


def density(cell: Ints, shape: tuple[int, int], reach: float) -> Floats:
    """Log of one plus the number of past incidents around each square."""
    count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    return np.log1p(blurred(count, reach)).ravel()


def blurred(grid: Floats, reach: float) -> Floats:
    """A Gaussian kernel of height 1 laid over the grid, one axis after the other."""
    radius = int(np.ceil(3 * reach))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / reach) ** 2)
    for _ in range(2):
        padded = np.pad(grid, [(radius, radius), (0, 0)])
        total: Floats = np.zeros(grid.shape)
        for shift, weight in enumerate(kernel):
            total += weight * padded[shift : shift + len(grid)]
        grid = total.T
    return grid


def robust_line(design: Floats, outcome: Floats, scale: float, rounds: int = 3) -> Floats:
    """Coefficients (p,) of a linear fit in which residuals beyond ``scale`` count less (Huber 1964,
    by reweighted least squares)."""
    weight: Floats = np.ones(len(outcome))
    found: Floats = np.zeros(design.shape[1])
    steady = 1e-6 * np.eye(design.shape[1])  # a column may be constant in a small cut
    for _ in range(rounds):
        weighted = design * weight[:, None]
        found = np.linalg.solve(design.T @ weighted + steady, weighted.T @ outcome).astype(np.float64)
        weight = 1 / np.maximum(1.0, np.abs(outcome - design @ found) / scale)
    # sums of many products differ in their last bits from one machine to the next
    return np.round(found, 6)


def sorted_means(key: Ints, values: Floats, weight: float) -> tuple[Ints, Floats]:
    """The distinct keys and their leaning means."""
    keys, number = np.unique(key, return_inverse=True)
    return keys, leaning_mean(number, len(keys), values, weight)
