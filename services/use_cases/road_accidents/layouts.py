"""Reads the columns of the official tables across the layouts of all years."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.use_cases.road_accidents.geography import Country, commune_code, department_code, road_name
from services.use_cases.road_accidents.request import COMMUNE

FIRST_YEAR_OF_NEW_LAYOUT = 2019
_ROAD_LENGTH = 120
"""What is read of a road's name; whole sentences stand in some rows."""
_BLANKS = ("\u00a0", "\u202f", " ")


def text(frame: pd.DataFrame, *names: str) -> pd.Series:
    """The first of the named columns that is there, stripped; empty strings where none is."""
    for name in names:
        if name in frame.columns:
            return frame[name].str.strip()
    return pd.Series("", index=frame.index, dtype="str")


def without_blanks(series: pd.Series) -> pd.Series:
    """Remove the ordinary and no-break spaces that stand between thousands of identifiers."""
    for blank in _BLANKS:
        series = series.str.replace(blank, "", regex=False)
    return series


def number(series: pd.Series) -> pd.Series:
    """Numbers with a decimal point or comma, float64; anything else is NaN."""
    return pd.to_numeric(series.str.replace(",", ".", regex=False), errors="coerce").astype("float64")


def code(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of codes as float64, unreadable ones NaN. No code is negative: -1 has no meaning anywhere."""
    return number(text(frame, name))


def words(frame: pd.DataFrame, name: str, meaning: Mapping[int, str]) -> pd.Series:
    """A column of codes in words; codes without a meaning are empty."""
    return code(frame, name).map({float(key): word for key, word in meaning.items()}).fillna("").astype("str")


def accident_id(frame: pd.DataFrame) -> pd.Series:
    """``Num_Acc`` (in 2022's caracteristiques ``Accident_Id``) without blanks; empty if not 12 digits."""
    values = without_blanks(text(frame, "Num_Acc", "Accident_Id"))
    return values.where(values.str.fullmatch(r"[0-9]{12}"), "")


def years(frame: pd.DataFrame) -> pd.Series:
    """``an`` with four digits; NaN if it is no year."""
    values = number(text(frame, "an"))
    return values.where(values > 99, values + 2000).where((values % 1 == 0) & (values >= 0))


def minutes_of_day(frame: pd.DataFrame, old: NDArray[np.bool_]) -> pd.Series:
    """Read ``hrmn`` in minutes since midnight; NaN if it is no time.

    Digits without a colon are hours and minutes (``1715``, ``905``). One or two digits are the hour since 2019 (``07``)
    and minutes past midnight before (``15`` is 00:15, zeros being lost). ``old`` (n,), bool, marks rows before 2019.
    """
    values = without_blanks(text(frame, "hrmn"))
    colon = values.str.contains(":", regex=False).to_numpy(dtype=bool)
    parts = values.where(colon, "").str.partition(":")
    bare = number(values.where(~colon, ""))
    only_hour = ~colon & ~old & (values.str.len() <= 2).to_numpy(dtype=bool)
    hour = number(parts[0]).where(colon, bare.where(only_hour, np.floor(bare / 100)))
    minute = number(parts[2]).where(colon, (bare % 100).where(~only_hour, 0.0))
    valid = hour.between(0, 23) & minute.between(0, 59) & (hour % 1 == 0) & (minute % 1 == 0)
    return (hour * 60 + minute).where(valid)


def departments(frame: pd.DataFrame, old: NDArray[np.bool_], place: Country) -> pd.Series:
    """Read department codes as callers write them; empty if there is no such department.

    ``old`` (n,), bool, marks rows before 2019.
    """

    def code_of(written: str, is_old: bool) -> str:
        if is_old and written.isdigit():
            if written in {"201", "202"}:
                return "2A" if written == "201" else "2B"
            ten = int(written) >= 10 and int(written) % 10 == 0 and int(written) <= 950
            return department_code(str(int(written) // 10)) if ten else written
        return department_code(written)

    values = text(frame, "dep").to_numpy(dtype=object)
    known = {
        key: found if (found := code_of(*key)) in place.departments else ""
        for key in set(zip(values.tolist(), old.tolist(), strict=True))
    }
    codes = [known[key] for key in zip(values.tolist(), old.tolist(), strict=True)]
    return pd.Series(codes, index=frame.index, dtype="str")


def communes(frame: pd.DataFrame, old: NDArray[np.bool_], department: pd.Series) -> pd.Series:
    """Read INSEE codes. Before 2019 (``old``, (n,), bool) the column holds the part after the department."""
    written = text(frame, "com").str.removesuffix(".0")
    prefix = department.where(~department.str.startswith(("97", "98")), department.str[:2])
    joined = (prefix + written.str.zfill(3)).where((written != "") & (department != ""), "")
    codes = written.map({value: commune_code(value) for value in written.unique()}).astype("str")
    codes = joined.where(old, codes)
    return codes.where(codes.str.fullmatch(COMMUNE.strip("^$")), "")


def coordinates(frame: pd.DataFrame, old: NDArray[np.bool_]) -> tuple[pd.Series, pd.Series]:
    """Read latitude and longitude (n,), float64, degrees; both NaN where one is missing, 0 or out of range.

    ``old`` (n,), bool, marks rows before 2019, in units of 1e-5 degrees.
    """
    scale = np.where(old, 1e-5, 1.0)
    latitude, longitude = number(text(frame, "lat")) * scale, number(text(frame, "long")) * scale
    there = latitude.between(-90, 90) & longitude.between(-180, 180) & ((latitude != 0) | (longitude != 0))
    return latitude.where(there).round(7), longitude.where(there).round(7)


def roads(frame: pd.DataFrame, *names: str) -> pd.Series:
    """Road names in one spelling, from the first of the named columns that is there."""
    written = text(frame, *names)
    return written.map({value: road_name(value[:_ROAD_LENGTH]) for value in written.unique()}).astype("str")


def numbered_roads(frame: pd.DataFrame) -> pd.Series:
    """Read ``voie`` of the lieux. Before 2019 it is a bare number whose letter follows from the category."""
    letter = code(frame, "catr").map({1.0: "A", 2.0: "N", 3.0: "D"}).fillna("").astype("str")
    written = text(frame, "voie").str.removesuffix(".0")
    bare = written.str.fullmatch(r"[1-9][0-9]{0,3}") & (letter != "")
    return roads(pd.DataFrame({"voie": written.where(~bare, letter + written)}), "voie")
