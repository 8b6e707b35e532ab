"""Who plays the world that models of simulated data were trained on meets no other stations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.core import params
from services.core.raw_files.reader import read_folder
from services.core.settings import CHECKOUT
from services.simulator.datasets import SimulatedDataset
from services.use_cases.rain_tomorrow import simulator


def stations(folder: Path) -> set[str]:
    return set(read_folder("rain_tomorrow", folder)["observations"]["station"].tolist())


def test_calls_come_from_the_stations_of_the_training_data(tmp_path: Path) -> None:
    trained = params.load_params(CHECKOUT).use_cases["rain_tomorrow"].ingest.simulate
    simulator.write(tmp_path / "trained", seed=trained.seed, rows=trained.rows, start=trained.start, days=trained.days)
    begin = datetime(2014, 12, 2, tzinfo=UTC)
    SimulatedDataset("rain_tomorrow", (), 3_000, 4, begin, timedelta(days=80)).write(tmp_path / "played")
    assert stations(tmp_path / "played") == stations(tmp_path / "trained")
