"""Sparse feature rows in CSR layout. NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Row ``i`` has ``values[starts[i]:starts[i + 1]]`` in the columns ``places`` of the same slice."""

    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    values: NDArray[np.float32]
    width: int

    @classmethod
    def of(cls, rows: Sequence[tuple[Sequence[int], Sequence[float]]], width: int) -> SparseRows:
        """From each row's places and values."""
        starts = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(places) for places, _ in rows], out=starts[1:])
        return cls(
            starts,
            np.array([place for places, _ in rows for place in places], dtype=np.int64),
            np.array([value for _, values in rows for value in values], dtype=np.float32),
            width,
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Places and values of one row."""
        here = slice(self.starts[index], self.starts[index + 1])
        return self.places[here], self.values[here]

    def __getitem__(self, rows: NDArray[np.int64]) -> SparseRows:
        """The chosen rows, by their numbers."""
        chosen = [self.row(int(index)) for index in rows]
        starts = np.zeros(len(chosen) + 1, dtype=np.int64)
        np.cumsum([len(places) for places, _ in chosen], out=starts[1:])
        empty = (np.zeros(0, np.int64), np.zeros(0, np.float32))
        places, values = zip(*(chosen or [empty]), strict=True)
        return SparseRows(starts, np.concatenate(places), np.concatenate(values), self.width)
