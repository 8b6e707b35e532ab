"""Columns of the official tables across the layouts of all years, and how their values are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.core.contract.tables import Column
from services.use_cases.road_accidents.code_labels import CODE_LABELS, KIND_OF_CODE
from services.use_cases.road_accidents.geography import FRANCE, Country, department_code

FIRST_YEAR_OF_NEW_LAYOUT = 2019


def _code(name: str, source: str, meaning: Mapping[int, float | str] | Mapping[int, str]) -> Column:
    """A column of codes. -1 has no meaning anywhere, and where 0 has none it says that nothing was filled in."""
    nothing = ("-1",) if 0 in meaning else ("-1", "0")
    words: dict[str, float | str] = {str(code): word for code, word in meaning.items()}
    return Column(name, source, "code", missing=nothing, meaning=words)


def _words(name: str, source: str) -> Column:
    return _code(name, source, CODE_LABELS[source])


ACCIDENT = Column(
    "accident", "Num_Acc|Accident_Id", "identifier", needed=True, pattern="[0-9]{12}",
    expected="a number of 12 digits",
)  # fmt: skip
YEAR = Column("year", "an", "number", low=0, high=2100, whole=True, expected="a year")


def caracteristiques(*, old: bool) -> tuple[Column, ...]:
    """The columns of rows before 2019 (``old``) or since: one or two digits of a time were minutes and are hours."""
    return (
        ACCIDENT,
        YEAR,
        Column("month", "mois", "number", low=1, high=12, whole=True, expected="a month"),
        Column("day", "jour", "number", low=1, high=31, whole=True, expected="a day"),
        Column("clock", "hrmn", "clock", needed=True, digits="minutes" if old else "hours"),
        Column("department", "dep", "identifier", missing=("-1",)),
        Column("commune", "com", "identifier", missing=("-1", "N/C")),
        Column("road", "adr"),
        Column("latitude", "lat", "number"),
        Column("longitude", "long", "number"),
        _code("urban", "agg", {1: 0.0, 2: 1.0}),
        _words("light", "lum"),
        _words("weather", "atm"),
        _words("intersection", "int"),
        _words("collision", "col"),
    )


LIEUX = (
    ACCIDENT,
    _words("road_category", "catr"),
    Column("numbered_road", "voie"),
    Column(
        "speed_limit",
        "vma",
        "number",
        missing=("-1", "0"),
        low=FRANCE.speed_limits[0],
        high=FRANCE.speed_limits[1],
        expected="a speed limit in km/h",
    ),
    _words("surface", "surf"),
    _words("slope", "prof"),
    _words("bend", "plan"),
    _words("traffic", "circ"),
    _words("spot", "situ"),
    _words("structure", "infra"),
)  # fmt: skip
VEHICULES = (
    ACCIDENT,
    Column("vehicle", "id_vehicule", "identifier"),
    _code("kind", "catv", KIND_OF_CODE),
    _words("obstacle", "obs"),
)
USAGERS = (
    ACCIDENT,
    Column("user", "id_usager", "identifier"),
    Column(
        "severity", "grav", "code", strict=True, missing=("-1",), expected="1, 2, 3 or 4",
        meaning={"1": 1.0, "2": 2.0, "3": 3.0, "4": 4.0},
    ),
    _code("pedestrian", "catu", {1: 0.0, 2: 0.0, 3: 1.0, 4: 1.0}),
)  # fmt: skip


def departments(words: Iterable[str], place: Country, *, old: bool) -> tuple[dict[str, str], str]:
    """Word -> code of the department as callers write it, for the words that are one, and how they are written.

    Before 2019 files have ``590`` for 59, and 201 and 202 for Corsica; spreadsheets have left ``590`` and ``59``
    in files of any year. All rows tell which; where none does (``10`` to ``90`` alone), the year (``old``) does.
    """
    words = list(words)
    tens = {word: code for word in words if (code := _from_tens(word, place))}
    plain = {word: code for word in words if (code := department_code(word)) in place.departments}
    either = tens.keys() & plain.keys()
    only_tens, only_plain = tens.keys() - either, plain.keys() - either
    doubtful = {word for word in either if tens[word] != plain[word]}
    if only_tens and only_plain:
        known = (
            {**tens, **plain}
            if not doubtful
            else {word: code for word, code in {**tens, **plain}.items() if word not in doubtful}
        )
        convention = "departments as 590 in some rows and 59 in others"
    else:
        in_tens = bool(only_tens) or (old and not only_plain)
        known = tens if in_tens else plain
        convention = "departments as 590" if in_tens else "departments as 59"
        convention = convention if only_tens or only_plain or doubtful else ""  # overseas codes are the same in both
    return known, convention


def _from_tens(written: str, place: Country) -> str:
    """The department of ``590``, ``201`` or ``971``; "" if the number is none of these."""
    if written in {"201", "202"}:
        return "2A" if written == "201" else "2B"
    if written in place.departments and len(written) == 3:
        return written
    if written.isascii() and written.isdigit() and written.endswith("0") and 10 <= int(written) <= 950:
        code = department_code(str(int(written) // 10))
        return code if code in place.departments else ""
    return ""
