"""Sparse feature rows in CSR layout. NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Sparse rows in CSR layout.

    Row ``i`` has ``values[starts[i]:starts[i + 1]]`` in the columns ``places`` of the same slice.

    Attributes:
        starts: int64 (n + 1,).
        places: Column of each value, int64 (nnz,).
        values: float32 (nnz,).
        width: How many columns there are.
    """

    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    values: NDArray[np.float32]
    width: int

    @classmethod
    def of(cls, rows: Sequence[tuple[Sequence[int], Sequence[float]]], width: int) -> SparseRows:
        """Make sparse rows.

        Args:
            rows: For each of n rows its columns and values.
            width: How many columns there are.
        """
        starts = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(places) for places, _ in rows], out=starts[1:])
        return cls(
            starts,
            np.array([place for places, _ in rows for place in places], dtype=np.int64),
            np.array([value for _, values in rows for value in values], dtype=np.float32),
            width,
        )

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.starts) - 1

    def row(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return columns, int64 (k,), and values, float32 (k,), of one row."""
        here = slice(self.starts[index], self.starts[index + 1])
        return self.places[here], self.values[here]

    def __getitem__(self, rows: NDArray[np.int64]) -> SparseRows:
        """Return the chosen rows.

        Args:
            rows: Their numbers, int64 (m,).
        """
        chosen = [self.row(int(index)) for index in rows]
        starts = np.zeros(len(chosen) + 1, dtype=np.int64)
        np.cumsum([len(places) for places, _ in chosen], out=starts[1:])
        empty = (np.zeros(0, np.int64), np.zeros(0, np.float32))
        places, values = zip(*(chosen or [empty]), strict=True)
        return SparseRows(starts, np.concatenate(places), np.concatenate(values), self.width)
