"""Small hand-written tables in the official layouts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from services.core.contract.use_case import ParsedTable
from services.use_cases.road_accidents import raw, simulator

Read = Callable[[str, str], ParsedTable]


def frame_of(text: str, delimiter: str = ";") -> pd.DataFrame:
    """Strings as they stand, and ``line``, as ingestion hands them over."""
    lines = "\n".join(line.strip() for line in text.strip().splitlines())
    frame = pd.read_csv(io.StringIO(lines), sep=delimiter, dtype="str", keep_default_na=False)
    frame.columns = [str(name).strip() for name in frame.columns]
    frame["line"] = range(2, len(frame) + 2)
    return frame


@pytest.fixture(scope="session")
def read() -> Read:
    def canonical(table: str, text: str) -> ParsedTable:
        header = text.strip().splitlines()[0]
        return raw.parse_table(table, frame_of(text, ";" if ";" in header else ","))

    return canonical


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Examples of 3,000 simulated accidents."""
    folder = tmp_path_factory.mktemp("simulated")
    simulator.write(folder, seed=3, rows=3_000, start="2024-01-01", days=120)
    return examples_of(folder)


def examples_of(folder: Path) -> pd.DataFrame:
    tables = {}
    for name in ("caracteristiques", "lieux", "vehicules", "usagers"):
        (path,) = folder.glob(f"{name}*.csv")
        checked = raw.parse_table(name, frame_of(path.read_text(encoding="utf-8")))
        assert checked.rejected.empty
        tables[name] = checked.rows.drop(columns="line")
    return raw.build_examples(tables)
