"""Writes road accidents in the official layout since 2019, its quirks included, from a causal model.

Place and hour say what takes part and how fast it moves; speed, what was hit and who is unprotected say how
hard each person is hurt. ``drift`` may name ``new-roads`` (a quarter of the accidents happen on bypasses that no
earlier file knows, fast and dangerous) and ``new-vehicle`` (a kind of vehicle with a code of its own takes part).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.errors import VigieError
from services.use_cases.road_accidents.simulation import RoadNetwork, Scene, draw_scene, road_network

DRIFTS = ("new-roads", "new-vehicle")
_BICYCLE, _MOPED, _CAR, _VAN, _TRUCK, _SCOOTER, _MOTORCYCLE, _BUS, _E_SCOOTER = 1, 30, 7, 10, 15, 32, 33, 37, 50
_NEW_VEHICLE = 61
_FIRST = np.array([_CAR, _BICYCLE, _SCOOTER, _MOTORCYCLE, _CAR, _CAR, _CAR, _TRUCK])
_SECOND = np.array([0, _CAR, _CAR, 0, 0, _CAR, _CAR, _CAR])
_THIRD = np.array([0, 0, 0, 0, 0, 0, _VAN, 0])
_EXPOSED = {_BICYCLE: 0.9, _E_SCOOTER: 0.9, _MOPED: 1.0, _SCOOTER: 1.1, _MOTORCYCLE: 1.5, _NEW_VEHICLE: 1.9}
_PROTECTED = {_TRUCK: -1.2, _BUS: -1.0}


def write(folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()) -> list[Path]:
    """Write the four tables with ``rows`` accidents into ``folder``; the same arguments give the same bytes.

    Raises:
        VigieError: a drift that there is not.
    """
    unknown = set(drift) - set(DRIFTS)
    if unknown:
        raise VigieError(f"There is no drift {min(unknown)!r}.", expected="one of " + ", ".join(DRIFTS))
    draw = np.random.default_rng(seed)
    scene = draw_scene(draw, rows, start, days, new_roads="new-roads" in drift)
    year = scene.moment.astype("datetime64[Y]").astype(np.int64) + 1970
    number = year * 10**8 + (seed % 1_000) * 10**5 + np.arange(rows)
    vehicles = _vehicles(draw, scene, number, "new-vehicle" in drift)
    tables = {
        "caracteristiques": _caracteristiques(draw, road_network(), scene, number),
        "lieux": _lieux(draw, scene, number),
        "vehicules": _written_vehicles(vehicles),
        "usagers": _usagers(draw, scene, number, vehicles),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, table in tables.items():
        path = folder / f"{name}-{start}-{seed}-simulated.csv"
        table.to_csv(path, sep=";", index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")
        paths.append(path)
    return paths


def _vehicles(draw: np.random.Generator, scene: Scene, number: NDArray[np.int64], new: bool) -> pd.DataFrame:
    first, second, third = _FIRST[scene.scenario].copy(), _SECOND[scene.scenario], _THIRD[scene.scenario]
    n = len(first)
    swap = draw.random(n)
    first = np.where((first == _BICYCLE) & (swap < 0.2), _E_SCOOTER, first)
    first = np.where((first == _SCOOTER) & ~scene.urban & (swap < 0.7), _MOTORCYCLE, first)
    first = np.where((first == _SCOOTER) & (swap < 0.25), _MOPED, first)
    first = np.where((first == _TRUCK) & scene.urban & (swap < 0.5), _BUS, first)
    if new:
        first = np.where(draw.random(n) < 0.2, _NEW_VEHICLE, first)
    kinds = np.stack([first, second, third], axis=1)
    row, order = np.nonzero(kinds)
    return pd.DataFrame(
        {
            "row": row,
            "Num_Acc": number[row],
            "id_vehicule": _spaced(number[row] % 10**8 * 3 + order),
            "num_veh": np.array(["A01", "B01", "C01"])[order],
            "senc": draw.choice([1, 2, 3], len(row)),
            "catv": kinds[row, order],
            "obs": np.where(order == 0, scene.obstacle[row], 0),
            "obsm": np.select([scene.scenario[row] == 0, second[row] > 0], [1, 2], 0),
            "choc": draw.integers(1, 9, len(row)),
            "manv": draw.choice([1, 2, 13, 15, 17, -1], len(row)),
            "motor": np.where(kinds[row, order] == _BICYCLE, 5, 1),
            "occutc": "",
        }
    )


def _written_vehicles(vehicles: pd.DataFrame) -> pd.DataFrame:
    return vehicles.drop(columns="row").assign(catv=vehicles["catv"].map("{:02d}".format))


def _usagers(
    draw: np.random.Generator, scene: Scene, number: NDArray[np.int64], vehicles: pd.DataFrame
) -> pd.DataFrame:
    """Drivers, passengers and pedestrians.

    Nobody is entered unless somebody is hurt: where the model leaves all unharmed, the first of them is slightly hurt.
    """
    code = vehicles["catv"].to_numpy()
    seats = np.select([np.isin(code, (_CAR, _VAN)), code == _BUS], [0.5, 6.0], 0.1)
    on_board = 1 + draw.poisson(seats)
    vehicle = np.repeat(np.arange(len(vehicles)), on_board)
    driver = np.r_[True, np.diff(vehicle) > 0]
    walking = np.nonzero(scene.scenario == 0)[0]
    hit_by = np.searchsorted(vehicles["row"].to_numpy(), walking)
    vehicle = np.r_[vehicle, hit_by]
    catu = np.r_[np.where(driver, 1, 2), np.full(len(walking), 3)]
    row = vehicles["row"].to_numpy()[vehicle]
    exposure = pd.Series(code).map(_EXPOSED | _PROTECTED).fillna(0.0).to_numpy()[vehicle]
    facing = (exposure <= 0) & np.isin(scene.scenario[row], (0, 1, 2))
    age = np.clip(draw.gamma(4.0, 10.5, len(vehicle)), 3, 95)
    harm = (
        scene.violence[row]
        + np.where(catu == 3, 1.3, exposure)
        - 3.0 * facing * (catu != 3)
        + 0.012 * (age - 40)
        + draw.logistic(0, 0.55, len(vehicle))
    )
    grav = np.select([harm > 2.9, harm > 1.25, harm > -0.2], [2, 3, 4], 1)
    order = np.lexsort((-harm, row))
    worst = order[np.r_[True, np.diff(row[order]) > 0]]
    grav[worst] = np.where(grav[worst] == 1, 4, grav[worst])
    age_known = draw.random(len(vehicle)) > 0.02
    birth = np.where(
        age_known, (scene.moment.astype("datetime64[Y]").astype(np.int64)[row] + 1970 - age).astype(np.int64), -1
    )
    users = pd.DataFrame(
        {
            "Num_Acc": number[row],
            "id_usager": "",
            "id_vehicule": vehicles["id_vehicule"].to_numpy()[vehicle],
            "num_veh": vehicles["num_veh"].to_numpy()[vehicle],
            "place": np.select([catu == 1, catu == 2], [1, 2], 10),
            "catu": catu,
            "grav": grav,
            "sexe": draw.choice([1, 2], len(row), p=[0.68, 0.32]),
            "an_nais": np.where(age_known, birth.astype(str), ""),
            "trajet": draw.choice([0, 1, 4, 5, 9, -1], len(row)),
            "secu1": draw.choice([1, 2, 8, -1], len(row)),
            "secu2": -1,
            "secu3": -1,
            "locp": np.where(catu == 3, 3, -1),
            "actp": np.where(catu == 3, "3", " -1"),
            "etatp": np.where(catu == 3, 1, -1),
        }
    )
    users = users.iloc[np.argsort(row, kind="stable")].reset_index(drop=True)
    seat = users.groupby("Num_Acc").cumcount().to_numpy(dtype=np.int64)
    users["id_usager"] = _spaced(np.sort(number[row]) % 10**8 * 100 + seat)
    return users


def _caracteristiques(
    draw: np.random.Generator, places: RoadNetwork, scene: Scene, number: NDArray[np.int64]
) -> pd.DataFrame:
    n = len(number)
    minutes = scene.moment.astype(np.int64) % 1_440
    clock = pd.Series(minutes // 60).map("{:02d}".format)
    past = pd.Series(minutes % 60).map("{:02d}".format)
    style = draw.random(n)
    written = np.where(style < 0.01, clock, np.where(style < 0.02, clock + past, clock + ":" + past))
    road = np.where(scene.urban, places.streets[scene.place, scene.road], places.highways[scene.place, scene.road])
    road = np.where(scene.new_road, np.char.add("D9", (scene.place % 90 + 100).astype(str)), road)
    days = pd.Series(scene.moment)
    return pd.DataFrame(
        {
            "Num_Acc": number,
            "jour": days.dt.day,
            "mois": days.dt.month,
            "an": days.dt.year,
            "hrmn": written,
            "lum": scene.light,
            "dep": places.department[scene.place],
            "com": places.commune[scene.place],
            "agg": np.where(scene.urban, 2, 1),
            "int": scene.junction,
            "atm": np.where(draw.random(n) < 0.002, -1, scene.weather),
            "col": scene.collision,
            "adr": np.where(draw.random(n) < 0.04, "Unknown", road),
            "lat": _comma(places.latitude[scene.place] + draw.normal(0, 0.01, n)),
            "long": _comma(places.longitude[scene.place] + draw.normal(0, 0.01, n)),
        }
    )


def _lieux(draw: np.random.Generator, scene: Scene, number: NDArray[np.int64]) -> pd.DataFrame:
    """One row per accident, and a second one (the crossing road) for some of those at a junction."""
    n = len(number)
    odd = draw.random(n)
    first = pd.DataFrame(
        {
            "Num_Acc": number,
            "catr": scene.category,
            "voie": "",
            "v1": "0",
            "v2": " -1",
            "circ": np.select([scene.category == 1, scene.new_road], [3, 3], draw.choice([1, 2], n, p=[0.2, 0.8])),
            "nbv": np.where(scene.category == 1, 4, draw.choice([1, 2], n)),
            "vosp": draw.choice([0, 1, 2, -1], n, p=[0.85, 0.07, 0.06, 0.02]),
            "prof": draw.choice([1, 2, 3, 4], n, p=[0.8, 0.16, 0.02, 0.02]),
            "pr": "(1)",
            "pr1": "(1)",
            "plan": scene.bend,
            "lartpc": "",
            "larrout": "-1",
            "surf": np.where(np.isin(scene.weather, (2, 3)), 2, 1),
            "infra": draw.choice([0, 2, 5, 8, -1], n, p=[0.86, 0.03, 0.07, 0.02, 0.02]),
            "situ": draw.choice([1, 3, 5, 8], n, p=[0.85, 0.08, 0.03, 0.04]),
            "vma": np.select([odd < 0.02, odd < 0.021], [-1, 900], scene.limit),
        }
    )
    crossing = first[(scene.junction > 1) & (draw.random(n) < 0.4)].assign(catr=4, vma=30)
    return pd.concat([first, crossing]).sort_values("Num_Acc", kind="stable")


def _spaced(numbers: NDArray[Any]) -> NDArray[np.object_]:
    """Numbers with no-break spaces between thousands, as identifiers are written."""
    return np.array([f"{value:,}".replace(",", "\u00a0") for value in numbers.tolist()], dtype=object)


def _comma(degrees: NDArray[np.float64]) -> NDArray[np.object_]:
    return np.array([f"{value:.7f}".replace(".", ",") for value in degrees.tolist()], dtype=object)
