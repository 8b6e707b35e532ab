"""The simulator writes the official layouts, oddities included, from causes that can be learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.errors import VigieError
from services.use_cases.fire_response import raw, simulator
from services.use_cases.fire_response.declaration import USE_CASE
from services.use_cases.fire_response.simulation import NEW_KIND, build_city, closed_station

OLDER = (
    "IncidentNumber,DateOfCall,CalYear,TimeOfCall,HourOfCall,IncidentGroup,StopCodeDescription,SpecialServiceType,"
    "PropertyCategory,PropertyType,AddressQualifier,Postcode_full,Postcode_district,IncGeo_BoroughCode,"
    "IncGeo_BoroughName,ProperCase,IncGeo_WardCode,IncGeo_WardName,IncGeo_WardNameNew,Easting_m,Northing_m,"
    "Easting_rounded,Northing_rounded,FRS,IncidentStationGround,FirstPumpArriving_AttendanceTime,"
    "FirstPumpArriving_DeployedFromStation,SecondPumpArriving_AttendanceTime,SecondPumpArriving_DeployedFromStation,"
    "NumStationsWithPumpsAttending,NumPumpsAttending"
)
NEWER_ONLY = (
    "UPRN",
    "USRN",
    "Latitude",
    "Longitude",
    "PumpCount",
    "PumpMinutesRounded",
    "Notional Cost (£)",
    "NumCalls",
)

Read = Callable[[list[Path]], dict[str, pd.DataFrame]]


def files(paths: list[Path]) -> dict[str, pd.DataFrame]:
    return {path.name: pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths}


def test_every_file_says_that_it_is_simulated(simulated_paths: list[Path]) -> None:
    assert len(simulated_paths) == 4
    assert all("simulated" in path.name for path in simulated_paths)


def test_both_official_layouts_are_written(simulated_paths: list[Path]) -> None:
    older = next(frame for name, frame in files(simulated_paths).items() if "older" in name)
    newer = next(frame for name, frame in files(simulated_paths).items() if "newer" in name)
    assert ",".join(older.columns) == OLDER
    assert set(newer.columns) == {*OLDER.split(","), *NEWER_ONLY}
    assert len(newer.columns) == 39


def test_every_file_is_recognised_as_one_table(simulated_paths: list[Path]) -> None:
    for name, frame in files(simulated_paths).items():
        header = set(frame.columns)
        tables = [table for table in USE_CASE.data.tables if set(table.header_signature) <= header]
        assert len(tables) == 1, name
        assert all(any(word in header for word in wanted.split("|")) for wanted in tables[0].required)


def test_the_oddities_of_the_official_files_are_there(simulated_paths: list[Path]) -> None:
    frames = files(simulated_paths)
    older = next(frame for name, frame in frames.items() if "older" in name)
    newer = next(frame for name, frame in frames.items() if "newer" in name)
    assert older["DateOfCall"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()
    assert newer["DateOfCall"].str.fullmatch(r"\d\d-[A-Z][a-z]{2}-\d\d").all()
    assert older["IncidentNumber"].str.fullmatch(r"\d+").all()
    assert newer["IncidentNumber"].str.fullmatch(r"\d{7}-\d{8}").all()
    dwelling = newer["PropertyCategory"] == "Dwelling"
    assert (newer.loc[dwelling, "Easting_m"] == "").all()
    assert (newer.loc[~dwelling, "Easting_m"] != "").all()
    assert newer["Latitude"].isin(["0", "0.0"]).any()
    assert newer["PropertyType"].str.endswith(" ").any()
    assert newer["UPRN"].str.endswith(".0").any()
    assert (~newer["UPRN"].str.endswith(".0")).any()
    assert (newer["FRS"] != "London").any()
    assert 0.03 < (newer["FirstPumpArriving_AttendanceTime"] == "").mean() < 0.08


def test_incident_numbers_are_never_used_twice(simulated_tables: dict[str, pd.DataFrame]) -> None:
    assert simulated_tables["incidents"]["incident_id"].is_unique
    sent = simulated_tables["mobilisations"]
    assert sent["incident_id"].isin(simulated_tables["incidents"]["incident_id"]).all()


def test_everything_written_can_be_read(simulated_paths: list[Path], simulated_tables: dict[str, pd.DataFrame]) -> None:
    incidents = sum(len(frame) for name, frame in files(simulated_paths).items() if "incidents" in name)
    assert len(simulated_tables["incidents"]) == incidents == 3_000


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        simulator.write(folder, seed=9, rows=200, start="2024-05-01", days=20, drift=("new-vehicle",))
    other = simulator.write(tmp_path / "three", seed=10, rows=200, start="2024-05-01", days=20)
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()
    assert any(path.read_bytes() != (one / path.name).read_bytes() for path in other)


def test_a_later_month_happens_in_the_same_city(tmp_path: Path) -> None:
    one = simulator.write(tmp_path / "one", seed=1, rows=50, start="2024-05-01", days=5)
    two = simulator.write(tmp_path / "two", seed=2, rows=50, start="2024-06-01", days=5)
    assert one[-1].read_bytes() == two[-1].read_bytes()


def test_distance_and_rush_hour_make_pumps_late(simulated_tables: dict[str, pd.DataFrame]) -> None:
    rows = raw.build_examples(simulated_tables)
    where = build_city()
    at = {name: number for number, name in enumerate(where.names.tolist())}
    rows = rows[rows["attendance_seconds"].notna()]
    number = rows["deployed_from_station"].map(at).to_numpy()
    away = np.hypot(where.easting[number] - rows["easting"], where.northing[number] - rows["northing"])
    near, far = away < away.median(), away >= away.median()
    assert rows.loc[far, "attendance_seconds"].mean() > rows.loc[near, "attendance_seconds"].mean() + 80
    local = rows["call_time"].dt.tz_convert("Europe/London")
    rush = local.dt.hour.isin([8, 17, 18]) & (local.dt.weekday < 5)
    quiet = local.dt.hour.isin([11, 13, 21])
    pace = rows["attendance_seconds"] - 0.12 * away
    assert pace[rush].mean() > pace[quiet].mean() + 10


def test_drift_closes_a_station(tmp_path: Path, read_tables: Read) -> None:
    closed = build_city().names[closed_station(build_city())]
    paths = simulator.write(tmp_path, seed=4, rows=800, start="2024-08-01", days=30, drift=("station-closed",))
    incidents = read_tables(paths)["incidents"]
    assert closed not in set(incidents["station_1"]) | set(incidents["station_2"])
    stations = pd.read_csv(paths[-1])
    assert closed in set(stations["name"]), "the reference file still knows it"


def test_drift_of_new_roads_slows_the_east_alone(tmp_path: Path, read_tables: Read) -> None:
    def east_and_west(drift: tuple[str, ...]) -> tuple[float, float]:
        folder = tmp_path / "-".join(("plain", *drift))
        rows = read_tables(simulator.write(folder, seed=4, rows=2_000, start="2024-08-01", days=30, drift=drift))
        incidents = rows["incidents"]
        east = incidents["easting"] > 534_000
        return float(incidents.loc[east, "seconds_1"].mean()), float(incidents.loc[~east, "seconds_1"].mean())

    (east, west), (slow_east, same_west) = east_and_west(()), east_and_west(("new-roads",))
    assert slow_east > east + 40
    assert same_west == pytest.approx(west, abs=8)


def test_drift_brings_a_kind_of_vehicle_that_nobody_has_seen(tmp_path: Path, read_tables: Read) -> None:
    paths = simulator.write(tmp_path, seed=4, rows=1_000, start="2024-08-01", days=30, drift=("new-vehicle",))
    kinds = read_tables(paths)["incidents"]["property_type"]
    assert (kinds == NEW_KIND.name).mean() > 0.02


def test_an_unknown_drift_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(VigieError) as caught:
        simulator.write(tmp_path, seed=1, rows=10, start="2024-01-01", days=1, drift=("flood",))
    assert "station-closed" in caught.value.expected
