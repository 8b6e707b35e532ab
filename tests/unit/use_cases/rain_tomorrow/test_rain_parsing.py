"""Both official layouts are read into the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.core.raw_files.reader import read_folder
from services.use_cases.rain_tomorrow.stations import REGIONS, STATION_NAMES, STATIONS, station_by_title
from tests.unit.use_cases.rain_tomorrow.conftest import Long

MONTH = """"Daily Weather Observations for Alice Springs, Northern Territory for November 2015"
"Prepared at 16:30 UTC on Monday 9 November 2015"
"Copyright, and where the observations were drawn from"

,"Date","Minimum temperature (°C)","Maximum temperature (°C)","Rainfall (mm)","Speed of maximum wind gust (km/h)",\
"9am wind direction","9am wind speed (km/h)","9am MSL pressure (hPa)"
,2015-11-1,18.2,33.1,0,41,ESE,13,1012.1
,2015-11-02,19.0,34.5,2.4,,,Calm,1010.9
,2015-11-3,19.5,,,,N,20,1009.0
"""


def test_the_bureaus_monthly_file_is_read_below_its_text(tmp_path: Path) -> None:
    (tmp_path / "IDCJDW8002.201511.csv").write_bytes(MONTH.replace("\n", "\r\n").encode("cp1252"))
    rows = read_folder("rain_tomorrow", tmp_path)["monthly"]
    assert rows["station"].tolist() == ["AliceSprings"] * 3
    assert rows["date"].dt.day.tolist() == [1, 2, 3]
    assert rows["min_temperature"].tolist() == [18.2, 19.0, 19.5]
    assert rows["wind_speed_9am"].tolist() == [13.0, 0.0, 20.0]  # calm is a wind of nothing
    assert rows["wind_direction_9am"].tolist() == ["ESE", "", "N"]
    assert np.isnan(rows["sunshine"]).all()  # a column that the file lacks


def test_what_is_written_as_missing_or_cannot_be_is_missing(long: Long) -> None:
    rows = long("2015-01-01,Sydney,NA,71,NA,NA", "2015-01-02,Sydney,-4,300,XX,Yes").rows
    assert rows[["rainfall", "humidity_3pm"]].isna().to_numpy().tolist() == [[True, False], [True, True]]
    assert rows["wind_direction_9am"].tolist() == ["", ""]
    assert np.isnan(rows["rained"][0])
    assert rows["rained"][1] == 1.0


def test_a_row_without_a_known_station_or_a_date_is_refused_with_its_reason(long: Long) -> None:
    found = long("2015-01-01,Atlantis,0,50,N,No", "2015-13-01,Sydney,0,50,N,No", "2015-01-01,Sydney,0,50,N,No")
    assert len(found.rows) == 1
    assert found.rejected["line"].tolist() == [2, 3]
    assert found.rejected["value"][0] == "Atlantis"
    assert "date" in found.rejected["reason"][1]


def test_the_amount_of_tomorrows_rain_is_never_read(long: Long) -> None:
    """``RISK_MM`` of the public table is the label in millimetres."""
    columns = set(long("2015-01-01,Sydney,0,50,N,No").rows.columns)
    assert not {name for name in columns if "risk" in name.lower()}


@pytest.mark.parametrize(
    ("title", "station"),
    [
        ("Alice Springs", "AliceSprings"),
        ("Melbourne (Olympic Park)", "Melbourne"),
        ("Sydney Airport", "SydneyAirport"),
        ("Pearce", "PearceRAAF"),
        ("Nhill", "Nhil"),
        ("Timbuktu", ""),
    ],
)
def test_titles_of_files_name_stations(title: str, station: str) -> None:
    assert station_by_title(title) == station


def test_every_station_has_a_place_and_a_region() -> None:
    assert len(STATION_NAMES) == len(set(STATION_NAMES)) == 49
    assert set(STATIONS) == set(REGIONS) == set(STATION_NAMES)
    assert all(-44 < place.latitude < -12 and 115 < place.longitude < 168 for place in STATIONS.values())
