"""A station's day becomes an example, and gets its label when the next day arrives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.errors import VigieError
from services.core.raw_files.reader import read_folder
from services.preprocessing.stage.preprocess import check_schema
from services.use_cases.rain_tomorrow import raw
from services.use_cases.rain_tomorrow.declaration import USE_CASE
from tests.unit.use_cases.rain_tomorrow.conftest import Long
from tests.unit.use_cases.rain_tomorrow.test_rain_parsing import MONTH


def labels(examples: pd.DataFrame) -> dict[str, float]:
    return dict(zip(examples["day"], examples["rain"], strict=True))


def test_yesterdays_row_gets_its_label_when_todays_arrives(tmp_path: Path) -> None:
    lines = MONTH.splitlines(keepends=True)
    (tmp_path / "month.csv").write_text("".join(lines[:-2]), encoding="cp1252")
    before = labels(raw.build_examples(read_folder("rain_tomorrow", tmp_path)))
    assert list(before) == ["2015-11-01"]
    assert np.isnan(before["2015-11-01"])
    (tmp_path / "month.csv").write_text("".join(lines[:-1]), encoding="cp1252")  # the file is written anew each day
    after = labels(raw.build_examples(read_folder("rain_tomorrow", tmp_path)))
    assert after["2015-11-01"] == 1.0
    assert np.isnan(after["2015-11-02"])


def test_a_monthly_file_labels_the_last_row_of_the_long_table(tmp_path: Path) -> None:
    (tmp_path / "month.csv").write_text(MONTH, encoding="cp1252")
    (tmp_path / "weatherAUS.csv").write_text(
        "Date,Location,Rainfall,Humidity3pm,RainToday,RainTomorrow\n2015-10-31,AliceSprings,5,20,Yes,NA\n"
    )
    assert labels(raw.build_examples(read_folder("rain_tomorrow", tmp_path)))["2015-10-31"] == 0.0


def test_a_missing_day_between_leaves_the_label_open(long: Long) -> None:
    rows = long("2015-01-01,Sydney,0,50,N,NA", "2015-01-03,Sydney,9,50,N,NA").rows
    assert raw.build_examples({"observations": rows})["rain"].isna().all()


def test_one_millimetre_is_not_rain_yet(long: Long) -> None:
    rows = long("2015-01-01,Sydney,0,50,N,NA", "2015-01-02,Sydney,1.0,50,N,NA", "2015-01-03,Sydney,1.2,50,N,NA").rows
    assert raw.build_examples({"observations": rows})["rain"].tolist()[:2] == [0.0, 1.0]


def test_what_the_file_says_of_tomorrow_counts_before_what_follows_from_it(long: Long) -> None:
    rows = long("2015-01-01,Sydney,0,50,N,Yes", "2015-01-02,Sydney,0,50,N,NA").rows
    assert raw.build_examples({"observations": rows})["rain"].tolist()[0] == 1.0


def test_examples_are_what_a_caller_could_send(simulated: dict[str, pd.DataFrame]) -> None:
    check_schema(USE_CASE, raw.build_examples(simulated), 200)


def test_the_context_holds_every_observation_at_its_station_and_day(simulated: dict[str, pd.DataFrame]) -> None:
    context, examples = raw.training_context(simulated), raw.build_examples(simulated)
    held = np.isfinite(context["observations"]).sum()
    from services.use_cases.rain_tomorrow.stations import NUMBER_FIELDS, WIND_FIELDS

    told = (
        examples[list(NUMBER_FIELDS)].notna().to_numpy().sum()
        + 2 * (examples[list(WIND_FIELDS)] != "").to_numpy().sum()
    )
    assert held == told
    assert int(context["first_day"]) == examples["date"].min().timestamp() // 86_400


def test_no_table_at_all_is_said() -> None:
    with pytest.raises(VigieError, match="no table"):
        raw.build_examples({})


def test_a_reported_day_belongs_to_the_day_of_all_stations(simulated: dict[str, pd.DataFrame]) -> None:
    filed = raw.build_examples(simulated).head(20)
    reported = raw.build_label_examples(filed.drop(columns=["event_time", "day", "region", "season"]))
    assert reported[filed.columns].equals(filed)
