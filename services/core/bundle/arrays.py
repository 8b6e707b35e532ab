"""Named arrays on disk, without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays without pickle; an array of objects is refused.

    ``numpy.savez`` stamps no time into the archive's members, so equal arrays give equal files."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **dict(sorted(arrays.items())))
