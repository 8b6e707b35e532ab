"""Hours of weather: order, lookup as of a moment, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.errors import VigieError
from services.core.settings import Settings
from services.core.weather.hourly import NoWeatherProvider, WeatherError, sort_hours, weather_at
from services.core.weather.meteostat import parse_weather, weather_arrays
from services.core.weather.providers import (
    CsvWeatherProvider,
    OpenMeteoProvider,
    VisualCrossingProvider,
    create_provider,
)

HEADER = "time,temp,rhum,prcp,snwd,wdir,wspd,wpgt,pres,tsun,cldc,coco\n"
FILE = HEADER + (
    "2023-01-01 01:00:00,10.4,86,,,224,27.0,45.4,1003.9,0,8,7\n"
    "2023-01-01 00:00:00,10.8,86,0.2,,224,27.8,44.5,1003.9,0,8,7\n"
)
MIDNIGHT = 1_672_531_200.0


def test_hours_rise_and_the_last_word_on_an_hour_counts() -> None:
    hours = sort_hours([7_200, 3_600, 7_200], [1, 2, 3], [0, 0, 0], [5, 6, 7])
    assert hours.time.tolist() == [3_600, 7_200]
    assert hours.temperature.tolist() == [2, 3]


def test_a_moment_gets_the_hour_it_lies_in_and_never_a_later_one() -> None:
    context = sort_hours([0, 3_600], [1, 2], [0, 0], [5, 6]).arrays()
    found = weather_at(context, np.array([-1.0, 0.0, 3_599.0, 3_600.0]))
    assert np.isnan(found[0]).all()
    assert found[1:, 0].tolist() == [1, 1, 2]


def test_stale_or_absent_weather_is_missing() -> None:
    context = sort_hours([0], [1], [0], [5]).arrays()
    assert np.isnan(weather_at(context, np.array([2 * 3_600.0]))).all()
    assert np.isnan(weather_at({}, np.array([0.0]))).all()
    assert np.isnan(weather_at(NoWeatherProvider().hours().arrays(), np.array([0.0]))).all()


def test_a_csv_file_is_read_at_call_time_and_in_training_alike(tmp_path: Path) -> None:
    path = tmp_path / "weather.csv"
    path.write_text(FILE)
    live = CsvWeatherProvider(path).hours().arrays()
    frame = pd.read_csv(path, dtype=str, keep_default_na=False).assign(line=[2, 3])
    checked = parse_weather(frame)
    trained = weather_arrays(checked.rows)
    assert checked.rejected.empty
    assert live.keys() == trained.keys()
    for name, values in live.items():
        np.testing.assert_array_equal(values, trained[name])
    assert live["weather_time"].tolist() == [MIDNIGHT, MIDNIGHT + 3_600]
    assert np.isnan(live["weather_precipitation"][1])


def test_a_row_of_weather_without_a_time_is_refused_with_its_line(tmp_path: Path) -> None:
    frame = pd.DataFrame({"time": ["soon"], "temp": ["1"], "prcp": [""], "wspd": [""], "line": [2]})
    assert parse_weather(frame).rejected[["line", "reason"]].to_numpy().tolist() == [
        [2, "time is not a date and a time"]
    ]


@pytest.mark.parametrize("content", [None, "time,temp\n2023-01-01 00:00:00,1\n", HEADER + "soon,1,,,,,,,,,,\n"])
def test_a_file_that_is_no_weather_is_said_to_be_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "weather.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WeatherError, match=r"weather\.csv"):
        CsvWeatherProvider(path).hours()


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [
        ({}, NoWeatherProvider),
        ({"weather_provider": "csv", "weather_file": "weather.csv"}, CsvWeatherProvider),
        ({"weather_provider": "open-meteo"}, OpenMeteoProvider),
        ({"weather_provider": "visual-crossing", "weather_key": "k"}, VisualCrossingProvider),
    ],
)
def test_the_settings_choose_the_provider(chosen: dict[str, str], kind: type) -> None:
    assert isinstance(create_provider(Settings.model_validate(chosen), 51.5, -0.1), kind)


@pytest.mark.parametrize("name", ["csv", "visual-crossing"])
def test_what_a_provider_still_needs_is_said(name: str) -> None:
    with pytest.raises(VigieError) as caught:
        create_provider(Settings.model_validate({"weather_provider": name}), 51.5, -0.1)
    assert "VIGIE_WEATHER_" in caught.value.action
