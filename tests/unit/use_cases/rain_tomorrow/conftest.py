"""Small tables of observations in the official layouts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from services.core.contract.use_case import ParsedTable
from services.core.raw_files.reader import read_folder
from services.use_cases.rain_tomorrow import raw, simulator

Long = Callable[..., ParsedTable]


@pytest.fixture(scope="session")
def long() -> Long:
    """Reads lines of the long table: date, station, rainfall, humidity at 3 pm, wind at 9 am, what is said of
    tomorrow."""

    def read(*lines: str) -> ParsedTable:
        header = "Date,Location,Rainfall,Humidity3pm,WindDir9am,RainTomorrow"
        frame = pd.read_csv(io.StringIO("\n".join([header, *lines])), dtype="str", keep_default_na=False)
        return raw.parse_table("observations", frame.assign(line=range(2, len(frame) + 2)))

    return read


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Tables of eight stations over 260 simulated days, through ingestion's own reader."""
    folder = tmp_path_factory.mktemp("rain")
    simulator.write(folder, seed=3, rows=2_080, start="2014-01-01", days=260)
    return read_folder("rain_tomorrow", Path(folder))
