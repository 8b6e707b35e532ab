"""Reads the four BAAC tables of any year out of strings.

A row is refused when its accident cannot be identified (``Num_Acc``), when its date or time does not exist,
or when a severity is written that does not exist. Everything else that cannot be read is a missing value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from services.core.usecases.contract import Checked
from services.core.usecases.road_accidents import layouts
from services.core.usecases.road_accidents.place import FRANCE
from services.core.usecases.road_accidents.vehicles import KIND_OF_CODE, OTHER
from services.core.usecases.road_accidents.words import WORDS

_ID_FAULT = "Num_Acc is not a number of 12 digits"


def canonical(table: str, frame: pd.DataFrame) -> Checked:
    """Canonical rows of one of the tables ``caracteristiques``, ``lieux``, ``vehicules``, ``usagers``."""
    rows, reason = _READERS[table](frame)
    reason = reason.mask(rows["accident"] == "", _ID_FAULT)
    rows.insert(0, "line", frame["line"].to_numpy())
    bad = (reason != "").to_numpy(dtype=bool)
    faults = pd.DataFrame({"line": rows.loc[bad, "line"], "reason": reason[bad]})
    return Checked(rows[~bad].reset_index(drop=True), faults.reset_index(drop=True))


def _caracteristiques(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    year = layouts.years(frame)
    old = (year < layouts.FIRST_YEAR_OF_NEW_LAYOUT).to_numpy(dtype=bool)
    date = pd.to_datetime(
        pd.DataFrame({"year": year, "month": layouts.number(frame["mois"]), "day": layouts.number(frame["jour"])}),
        errors="coerce",
    )
    minutes = layouts.minutes_of_day(frame, old)
    department = layouts.departments(frame, old, FRANCE)
    latitude, longitude = layouts.coordinates(frame, old)
    rows = pd.DataFrame(
        {
            "accident": layouts.accident_id(frame),
            "local_time": (date + pd.to_timedelta(minutes, unit="min")).astype("datetime64[us]"),
            "department": department,
            "commune": layouts.communes(frame, old, department),
            "road": layouts.roads(frame, "adr"),
            "latitude": latitude,
            "longitude": longitude,
            "urban": layouts.code(frame, "agg").map({1.0: 0.0, 2.0: 1.0}),
            "light": layouts.words(frame, "lum", WORDS["lum"]),
            "weather": layouts.words(frame, "atm", WORDS["atm"]),
            "intersection": layouts.words(frame, "int", WORDS["int"]),
            "collision": layouts.words(frame, "col", WORDS["col"]),
        }
    )
    reason = pd.Series("", index=frame.index, dtype=object)
    reason = reason.mask(minutes.isna(), "hrmn is not a time of day")
    reason = reason.mask(date.isna(), "jour, mois and an are not a date")
    return rows, reason


def _lieux(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    limit = layouts.code(frame, "vma").round()
    rows = pd.DataFrame(
        {
            "accident": layouts.accident_id(frame),
            "road_category": layouts.words(frame, "catr", WORDS["catr"]),
            "numbered_road": layouts.numbered_roads(frame),
            "speed_limit": limit.where(limit.between(*FRANCE.speed_limits)),
            "surface": layouts.words(frame, "surf", WORDS["surf"]),
            "slope": layouts.words(frame, "prof", WORDS["prof"]),
            "bend": layouts.words(frame, "plan", WORDS["plan"]),
            "traffic": layouts.words(frame, "circ", WORDS["circ"]),
            "spot": layouts.words(frame, "situ", WORDS["situ"]),
            "structure": layouts.words(frame, "infra", WORDS["infra"]),
        }
    )
    return rows, pd.Series("", index=frame.index, dtype=object)


def _vehicules(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    kinds = {float(code): kind for code, kind in KIND_OF_CODE.items()}
    rows = pd.DataFrame(
        {
            "accident": layouts.accident_id(frame),
            "vehicle": layouts.without_blanks(layouts.text(frame, "id_vehicule")),
            "kind": layouts.code(frame, "catv").map(kinds).fillna(OTHER).astype("str"),
            "obstacle": layouts.words(frame, "obs", WORDS["obs"]),
        }
    )
    return rows, pd.Series("", index=frame.index, dtype=object)


def _usagers(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    written = layouts.text(frame, "grav")
    severity = layouts.number(written)
    missing = (written == "") | (severity == -1)
    rows = pd.DataFrame(
        {
            "accident": layouts.accident_id(frame),
            "user": layouts.without_blanks(layouts.text(frame, "id_usager")),
            "severity": severity.where(~missing),
            "pedestrian": layouts.code(frame, "catu").isin([3.0, 4.0]).astype("float64"),
        }
    )
    reason = pd.Series("", index=frame.index, dtype=object)
    return rows, reason.mask(~missing & ~severity.isin([1.0, 2.0, 3.0, 4.0]), "grav is not 1, 2, 3 or 4")


_READERS: Mapping[str, Callable[[pd.DataFrame], tuple[pd.DataFrame, pd.Series]]] = {
    "caracteristiques": _caracteristiques,
    "lieux": _lieux,
    "vehicules": _vehicules,
    "usagers": _usagers,
}
