"""Writes simulated files in the brigade's official layouts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from services.use_cases.fire_response.brigade import to_grid
from services.use_cases.fire_response.simulation import DRIFTS, City, build_city, simulate_incidents

_STOP = {"Fire": "Primary Fire", "False Alarm": "AFA", "Special Service": "Special Service"}


def identities(rows: pd.DataFrame, number: np.ndarray, *, newer: bool) -> np.ndarray:
    """Incident numbers in the brigade's two styles: digits alone, or the serial number and the date.

    Args:
        rows: n incidents.
        number: serial numbers (n,), int64.
        newer: which style.

    Returns:
        Incident numbers (n,), object of str.
    """
    if not newer:
        return np.char.add(number.astype(str), rows["local"].dt.strftime("%y").to_numpy().astype(str)).astype(object)
    serial = np.char.add(np.char.zfill(number.astype(str), 7), "-")
    return np.char.add(serial, rows["local"].dt.strftime("%d%m%Y").to_numpy().astype(str)).astype(object)


def incident_file(
    rows: pd.DataFrame, identity: np.ndarray, generator: np.random.Generator, *, newer: bool
) -> pd.DataFrame:
    """Write incidents in the layout of 2017 (31 columns) or, ``newer``, of 2023 (39 columns).

    ``rows`` are n incidents and ``identity`` (n,), str, their numbers.
    """
    n = len(rows)
    local, dwelling = rows["local"], (rows["category"] == "Dwelling").to_numpy()
    style = "%d-%b-%y" if newer else "%Y-%m-%d"
    kind = rows["type"].to_numpy().astype(object)
    easting, northing = rows["easting"].to_numpy().round(), rows["northing"].to_numpy().round()
    code = np.char.add("E090000", np.char.zfill(rows["borough_code"].to_numpy().astype(str), 2))
    ward = np.char.add(rows["borough"].to_numpy().astype(str), " WARD")
    pumps = rows["pumps"].to_numpy().astype(float)
    frame = pd.DataFrame(
        {
            "IncidentNumber": identity,
            "DateOfCall": local.dt.strftime(style).to_numpy(),
            "CalYear": local.dt.year.to_numpy(),
            "TimeOfCall": local.dt.strftime("%H:%M:%S").to_numpy(),
            "HourOfCall": local.dt.hour.to_numpy(),
            "IncidentGroup": rows["group"].to_numpy(),
            "StopCodeDescription": rows["group"].map(_STOP).to_numpy(),
            "SpecialServiceType": rows["service_type"].to_numpy(),
            "PropertyCategory": rows["category"].to_numpy(),
            "PropertyType": kind + np.where(generator.random(n) < 0.5, " ", ""),
            "AddressQualifier": generator.choice(["Correct incident location", "Within same building"], n),
            "Postcode_full": np.where(dwelling, "", "SE1 0AA"),
            "Postcode_district": "SE1",
            "UPRN": _uprn(generator, n),
            "USRN": generator.integers(20_000_000, 22_999_999, n),
            "IncGeo_BoroughCode": code,
            "IncGeo_BoroughName": rows["borough"].to_numpy(),
            "ProperCase": rows["borough"].str.title().to_numpy(),
            "IncGeo_WardCode": code,
            "IncGeo_WardName": ward,
            "IncGeo_WardNameNew": ward,
            "Easting_m": np.where(dwelling, np.nan, easting),
            "Northing_m": np.where(dwelling, np.nan, northing),
            "Easting_rounded": (easting // 100 * 100 + 50).astype("int64"),
            "Northing_rounded": (northing // 100 * 100 + 50).astype("int64"),
            **_degrees(generator, easting, northing, dwelling),
            "FRS": rows["frs"].to_numpy(),
            "IncidentStationGround": rows["ground"].to_numpy(),
            "FirstPumpArriving_AttendanceTime": rows["seconds_1"].to_numpy(),
            "FirstPumpArriving_DeployedFromStation": rows["station_1"].to_numpy(),
            "SecondPumpArriving_AttendanceTime": rows["seconds_2"].to_numpy(),
            "SecondPumpArriving_DeployedFromStation": rows["station_2"].to_numpy(),
            "NumStationsWithPumpsAttending": np.minimum(pumps, 1 + (rows["station_1"] != rows["station_2"]).to_numpy()),
            "NumPumpsAttending": pumps,
            "PumpCount": pumps.astype("int64"),
            "PumpMinutesRounded": pumps.astype("int64") * 60,
            "Notional Cost (£)": pumps.astype("int64") * 364,
            "NumCalls": 1.0 + generator.poisson(0.3, n),
        }
    )
    if newer:
        return frame
    absent = [
        "UPRN",
        "USRN",
        "Latitude",
        "Longitude",
        "PumpCount",
        "PumpMinutesRounded",
        "Notional Cost (£)",
        "NumCalls",
    ]
    return frame.drop(columns=absent)


def mobilisation_file(rows: pd.DataFrame, identity: np.ndarray, number: np.ndarray, where: City) -> pd.DataFrame:
    """Write mobilisation records, one row per arrived pump; times are GMT.

    ``identity`` (n,), str, and ``number`` (n,), int64, belong to the n incidents in ``rows``.
    """
    code = dict(zip(where.names.tolist(), where.codes.tolist(), strict=True))
    gmt = (
        rows["local"].dt.tz_localize("Europe/London", ambiguous=True, nonexistent="shift_forward").dt.tz_convert("UTC")
    )
    parts = []
    for order in (1, 2):
        there = rows[f"seconds_{order}"].notna().to_numpy()
        seconds, turnout = rows[f"seconds_{order}"].to_numpy()[there], rows[f"turnout_{order}"].to_numpy()[there]
        turnout = np.minimum(turnout, seconds)
        called, station = gmt[there].dt.tz_localize(None), rows[f"station_{order}"].to_numpy()[there]
        parts.append(
            pd.DataFrame(
                {
                    "IncidentNumber": identity[there],
                    "CalYear": called.dt.year.to_numpy(),
                    "HourOfCall": called.dt.hour.to_numpy(),
                    "ResourceMobilisationId": number[there] * 10 + order,
                    "Resource_Code": [f"{code[name]}{order}" for name in station],
                    "PerformanceReporting": order,
                    "DateAndTimeMobilised": called.to_numpy(),
                    "DateAndTimeMobile": (called + pd.to_timedelta(turnout, unit="s")).to_numpy(),
                    "DateAndTimeArrived": (called + pd.to_timedelta(seconds, unit="s")).to_numpy(),
                    "TurnoutTimeSeconds": turnout,
                    "TravelTimeSeconds": seconds - turnout,
                    "AttendanceTimeSeconds": seconds,
                    "DeployedFromStation_Code": [code[name] for name in station],
                    "DeployedFromStation_Name": station,
                    "DeployedFromLocation": "Home Station",
                    "PumpOrder": order,
                    "PlusCode_Code": "Initial",
                    "PlusCode_Description": "Initial Mobilisation",
                    "DelayCodeId": "",
                    "DelayCode_Description": "",
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def station_file(where: City) -> pd.DataFrame:
    """Code, name, latitude and longitude."""
    latitude, longitude = _position(where.easting, where.northing)
    return pd.DataFrame({"code": where.codes, "name": where.names, "latitude": latitude, "longitude": longitude})


def _uprn(generator: np.random.Generator, n: int) -> np.ndarray:
    """Whole numbers, written with and without a decimal point, 0 where it was withheld."""
    uprn = generator.integers(1_000_000, 99_999_999, n) * (generator.random(n) < 0.5)
    return np.where(generator.random(n) < 0.5, uprn.astype(str), np.char.add(uprn.astype(str), ".0"))


def _degrees(
    generator: np.random.Generator, easting: np.ndarray, northing: np.ndarray, dwelling: np.ndarray
) -> dict[str, np.ndarray]:
    """Degrees of the exact place; withheld for dwellings, as nothing or as 0."""
    latitude, longitude = _position(easting, northing)
    zero = dwelling & (generator.random(len(easting)) < 0.02)
    withheld = np.where(zero, 0.0, np.nan)
    return {
        "Latitude": np.where(dwelling, withheld, latitude.round(7)),
        "Longitude": np.where(dwelling, withheld, longitude.round(7)),
    }


def _position(easting: np.ndarray, northing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Degrees of places on the grid, within a metre: ``to_grid`` turned round by least squares."""
    latitude, longitude = _turned_round()
    terms = _terms(easting, northing)
    return (terms * latitude).sum(axis=1).round(7), (terms * longitude).sum(axis=1).round(7)


@cache
def _turned_round() -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of latitude and longitude as cubic polynomials in the grid around London."""
    degrees = np.array([(51.2 + 0.05 * i, -0.6 + 0.08 * j) for i in range(12) for j in range(14)])
    grid = np.array([to_grid(float(latitude), float(longitude)) for latitude, longitude in degrees])
    terms = _terms(grid[:, 0], grid[:, 1])
    found = np.linalg.lstsq(terms, degrees, rcond=None)[0]
    return found[:, 0], found[:, 1]


def _terms(easting: np.ndarray, northing: np.ndarray) -> np.ndarray:
    x, y = (easting - 530_000.0) / 30_000.0, (northing - 180_000.0) / 30_000.0
    return np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=1)


__all__ = ["DRIFTS", "write"]


def write(folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()) -> list[Path]:
    """Write about ``rows`` incidents over ``days`` days from ``start`` (ISO) on, with stations and mobilisations.

    The first half is in the older layout, the second in the newer one.

    Raises:
        VigieError: an unknown kind of drift (``DRIFTS`` names them).
    """
    generator = np.random.default_rng([seed, rows, days])
    where: City = build_city()
    incidents = simulate_incidents(where, generator, rows=rows, start=start, days=days, drift=drift)
    number = _numbers(incidents["local"])
    half = int((incidents["local"] < pd.Timestamp(start) + pd.Timedelta(days=days) / 2).sum())
    folder.mkdir(parents=True, exist_ok=True)
    written, identity = [], []
    for layout, part in (("older", slice(0, half)), ("newer", slice(half, None))):
        chosen, newer = incidents.iloc[part], layout == "newer"
        identity.append(identities(chosen, number[part], newer=newer))
        if len(chosen):
            frame = incident_file(chosen, identity[-1], generator, newer=newer)
            written.append(_save(frame, folder / f"simulated-lfb-incidents-{start}-{layout}.csv"))
    sent = mobilisation_file(incidents, np.concatenate(identity), number, where)
    written.append(_save(sent, folder / f"simulated-lfb-mobilisations-{start}.csv"))
    written.append(_save(station_file(where), folder / "simulated-lfb-stations.csv"))
    return written


def _numbers(local: pd.Series) -> np.ndarray:
    """The brigade's serial number of the year: it grows with the calls, of which many are no incident."""
    begin = local.dt.normalize() - pd.to_timedelta(local.dt.dayofyear - 1, unit="D")
    within = (local - begin).dt.total_seconds()
    serial = (within / 86_400 * 480).astype("int64") + 3
    bump = serial.groupby(serial).cumcount()
    return (serial * 10 + bump).to_numpy()


def _save(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path
