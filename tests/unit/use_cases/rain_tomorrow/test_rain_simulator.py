"""The simulator writes what the official files look like, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from services.core.errors import VigieError
from services.core.raw_files.reader import read_folder
from services.use_cases.rain_tomorrow import raw, simulator

FEW = {"rows": 600, "start": "2014-03-01", "days": 120}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    written = [simulator.write(tmp_path / str(number), seed=seed, **FEW) for number, seed in enumerate((1, 1, 2))]
    same, again, other = ([path.read_bytes() for path in paths] for paths in written)
    assert same == again
    assert same[0] != other[0]


def test_every_file_says_that_it_is_simulated_and_both_layouts_are_there(tmp_path: Path) -> None:
    paths = simulator.write(tmp_path, seed=1, **FEW)
    assert all("simulated" in path.name for path in paths)
    tables = read_folder("rain_tomorrow", tmp_path)
    assert {name: len(table) for name, table in tables.items()} == {"observations": 5 * 92, "monthly": 5 * 28}


def test_the_official_quirks_are_there(tmp_path: Path) -> None:
    long, *monthly = simulator.write(tmp_path, seed=1, **FEW)
    assert ",NA," in long.read_text()
    text = monthly[0].read_bytes().decode("cp1252")
    assert "\r\n,Date,Minimum temperature (°C)" in text
    assert text.startswith('"Daily Weather Observations for ')


def test_all_but_the_last_day_and_lost_gauges_have_a_label(tmp_path: Path) -> None:
    simulator.write(tmp_path, seed=1, **FEW)
    examples = raw.build_examples(read_folder("rain_tomorrow", tmp_path))
    assert len(examples) == 600
    assert examples.loc[examples["date"] == examples["date"].max(), "rain"].isna().all()
    assert examples["rain"].notna().mean() > 0.95
    assert 0.08 < examples["rain"].mean() < 0.4


def test_drift_changes_what_it_says(tmp_path: Path) -> None:
    made: dict[str, pd.DataFrame] = {}
    for drift in ("", *simulator.DRIFTS):
        simulator.write(tmp_path / drift / "x", seed=1, drift=[drift] if drift else [], **FEW)
        made[drift] = raw.build_examples(read_folder("rain_tomorrow", tmp_path / drift / "x"))
    assert made["wetter-years"]["rain"].mean() > made[""]["rain"].mean() + 0.08
    assert made["faulty-hygrometers"]["humidity_3pm"].mean() > made[""]["humidity_3pm"].mean() + 8
    assert made["faulty-hygrometers"]["rain"].mean() == made[""]["rain"].mean()


def test_a_drift_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VigieError, match="flood"):
        simulator.write(tmp_path, seed=1, drift=["flood"], **FEW)
