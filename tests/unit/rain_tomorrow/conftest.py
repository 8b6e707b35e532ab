"""Small tables of observations in the official layouts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from services.core.usecases.contract import Checked
from services.core.usecases.rain_tomorrow import raw, simulator
from services.ingestion.tables import read_folder

Long = Callable[..., Checked]


@pytest.fixture(scope="session")
def long() -> Long:
    """Reads lines of the long table: date, station, rainfall, humidity at 3 pm, wind at 9 am, what is said of
    tomorrow."""

    def read(*lines: str) -> Checked:
        header = "Date,Location,Rainfall,Humidity3pm,WindDir9am,RainTomorrow"
        frame = pd.read_csv(io.StringIO("\n".join([header, *lines])), dtype="str", keep_default_na=False)
        return raw.canonical("observations", frame.assign(line=range(2, len(frame) + 2)))

    return read


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Tables of eight stations over 260 simulated days, through ingestion's own reader."""
    folder = tmp_path_factory.mktemp("rain")
    simulator.write(folder, seed=3, rows=2_080, start="2014-01-01", days=260)
    return read_folder("rain_tomorrow", Path(folder))
