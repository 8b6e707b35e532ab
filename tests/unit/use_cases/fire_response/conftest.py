"""A simulated brigade, read as ingestion reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.core.contract import columns as column_tools
from services.use_cases.fire_response import features, raw, simulator
from services.use_cases.fire_response.request import FireCall


def as_read(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame["line"] = np.arange(2, len(frame) + 2)
    return frame


def tables_of(paths: list[Path]) -> dict[str, pd.DataFrame]:
    """The canonical tables of simulated files."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for path in paths:
        table = next(name for name in ("incidents", "mobilisations", "stations") if name in path.name)
        parts.setdefault(table, []).append(raw.parse_table(table, as_read(path)).rows)
    return {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}


@pytest.fixture(scope="session")
def read_tables() -> Callable[[list[Path]], dict[str, pd.DataFrame]]:
    return tables_of


@pytest.fixture(scope="session")
def simulated_paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("fire")
    return simulator.write(folder, seed=3, rows=3_000, start="2024-02-01", days=90)


@pytest.fixture(scope="session")
def simulated_tables(simulated_paths: list[Path]) -> dict[str, pd.DataFrame]:
    return tables_of(simulated_paths)


@pytest.fixture(scope="session")
def learned(simulated_tables: dict[str, pd.DataFrame]) -> Any:
    """Examples, columns, labels, reference and what ``fit`` learned of them."""
    examples = raw.build_examples(simulated_tables)
    columns = column_tools.from_frame(FireCall, examples)
    labels = {
        name: examples[name].to_numpy(dtype=np.float64, na_value=np.nan)
        for name in ("attendance_seconds", "over_360s", "pumps")
    }
    reference = raw.lookup_tables(simulated_tables)
    arrays = features.fit(columns, labels, reference, {})
    return SimpleNamespace(
        examples=examples,
        columns=columns,
        labels=labels,
        reference=reference,
        arrays=arrays,
        fitted=features.prepare(arrays),
    )
