"""France: regions, time zones, map outline, spelling of commune codes and road names. Standard library alone."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from services.core.contract.tables import Box

_REGIONS = {
    "Île-de-France": "75 77 78 91 92 93 94 95",
    "Centre-Val de Loire": "18 28 36 37 41 45",
    "Bourgogne-Franche-Comté": "21 25 39 58 70 71 89 90",
    "Normandie": "14 27 50 61 76",
    "Hauts-de-France": "02 59 60 62 80",
    "Grand Est": "08 10 51 52 54 55 57 67 68 88",
    "Pays de la Loire": "44 49 53 72 85",
    "Bretagne": "22 29 35 56",
    "Nouvelle-Aquitaine": "16 17 19 23 24 33 40 47 64 79 86 87",
    "Occitanie": "09 11 12 30 31 32 34 46 48 65 66 81 82",
    "Auvergne-Rhône-Alpes": "01 03 07 15 26 38 42 43 63 69 73 74",
    "Provence-Alpes-Côte d'Azur": "04 05 06 13 83 84",
    "Corse": "2A 2B",
    "Outre-mer": "971 972 973 974 975 976 977 978 986 987 988",
}
_OVERSEAS_ZONES = {
    "971": "America/Guadeloupe",
    "972": "America/Martinique",
    "973": "America/Cayenne",
    "974": "Indian/Reunion",
    "975": "America/Miquelon",
    "976": "Indian/Mayotte",
    "977": "America/St_Barthelemy",
    "978": "America/Marigot",
    "986": "Pacific/Wallis",
    "987": "Pacific/Tahiti",
    "988": "Pacific/Noumea",
}


_BOXES = {
    "Île-de-France": (48.0, 49.3, 1.4, 3.6),
    "Centre-Val de Loire": (46.3, 49.0, 0.0, 3.2),
    "Bourgogne-Franche-Comté": (46.1, 48.5, 2.8, 7.2),
    "Normandie": (48.1, 50.2, -2.0, 1.9),
    "Hauts-de-France": (48.8, 51.1, 1.3, 4.4),
    "Grand Est": (47.4, 50.2, 3.3, 8.3),
    "Pays de la Loire": (46.2, 48.7, -2.7, 1.0),
    "Bretagne": (47.2, 49.0, -5.2, -0.9),
    "Nouvelle-Aquitaine": (42.7, 47.3, -1.9, 2.7),
    "Occitanie": (42.3, 45.1, -0.4, 4.9),
    "Auvergne-Rhône-Alpes": (44.0, 46.9, 2.0, 7.3),
    "Provence-Alpes-Côte d'Azur": (42.9, 45.2, 4.2, 7.8),
    "Corse": (41.3, 43.1, 8.5, 9.6),
    "971": (15.8, 16.6, -61.9, -60.9),
    "972": (14.3, 15.0, -61.3, -60.7),
    "973": (2.1, 5.9, -54.7, -51.5),
    "974": (-21.5, -20.8, 55.1, 55.9),
    "975": (46.7, 47.2, -56.5, -56.0),
    "976": (-13.1, -12.6, 44.9, 45.4),
    "977": (17.8, 18.0, -63.0, -62.7),
    "978": (18.0, 18.2, -63.2, -62.9),
    "986": (-14.4, -13.1, -178.3, -176.0),
    "987": (-28.0, -7.8, -155.0, -134.0),
    "988": (-23.0, -19.5, 163.0, 168.3),
}
"""Region, or department overseas -> south, north, west, east in degrees."""


@dataclass(frozen=True, slots=True)
class Country:
    """Time zones, areas and limits of the country whose accidents are described."""

    zone: str
    """Zone of a naive call time, and of every department without a zone of its own."""
    zones: Mapping[str, str]
    """Departments with a zone of their own. Official files give local times everywhere."""
    areas: Mapping[str, str]
    """Department -> area, the subgroup that metrics are reported for."""
    boxes: Mapping[str, Box]
    """Region, or department overseas -> where its places are."""
    speed_limits: tuple[int, int] = (5, 130)
    """Lowest and highest speed limit that is believed, km/h; others in a file are missing values."""
    departments: frozenset[str] = field(init=False)
    box_names: Mapping[str, str] = field(init=False)
    """Department -> name of its box."""

    def __post_init__(self) -> None:
        names = {code: code if code in self.boxes else area for code, area in self.areas.items()}
        object.__setattr__(self, "box_names", names)
        object.__setattr__(self, "departments", frozenset(self.areas))


FRANCE = Country(
    zone="Europe/Paris",
    zones=_OVERSEAS_ZONES,
    areas={code: region for region, codes in _REGIONS.items() for code in codes.split()},
    boxes={name: Box(*sides) for name, sides in _BOXES.items()},
)


_MAINLAND = (
    (2.37, 51.03), (3.15, 50.78), (4.2, 49.98), (4.88, 50.14), (5.8, 49.55), (6.36, 49.47), (7.6, 49.05),
    (8.2, 48.97), (7.6, 47.59), (6.95, 47.3), (6.1, 46.6), (6.1, 46.25), (6.8, 46.4), (7.04, 45.92), (7.1, 45.3),
    (6.65, 44.9), (6.95, 44.35), (7.65, 44.15), (7.53, 43.78), (6.95, 43.5), (6.6, 43.15), (5.9, 43.07), (5.3, 43.25),
    (4.6, 43.37), (4.0, 43.55), (3.15, 43.1), (3.05, 42.45), (1.7, 42.5), (0.7, 42.75), (-0.7, 42.87), (-1.78, 43.36),
    (-1.45, 44.1), (-1.2, 44.66), (-1.1, 45.55), (-1.2, 46.1), (-2.1, 46.8), (-2.2, 47.2), (-2.9, 47.5), (-4.3, 47.85),
    (-4.75, 48.35), (-3.9, 48.7), (-2.7, 48.6), (-1.5, 48.65), (-1.9, 49.7), (-1.25, 49.68), (-1.1, 49.37),
    (0.1, 49.45), (1.45, 50.1), (1.6, 50.85), (2.37, 51.03),
)  # fmt: skip
_CORSICA = ((9.4, 43.0), (9.55, 42.1), (9.2, 41.4), (8.6, 41.9), (8.6, 42.4), (9.3, 42.7), (9.4, 43.0))

MAP_OUTLINE = (_MAINLAND, _CORSICA)
"""Degrees: (longitude, latitude)."""


_NOT_NAMES = {
    "",
    "UNKNOWN",
    "INCONNU",
    "INCONNUE",
    "NC",
    "NR",
    "ND",
    "PK",
    "PR",
    "RAS",
    "SANS",
    "TOUTES RUES",
    "NON RENSEIGNE",
}
_ABBREVIATIONS = {
    "AV": "AVENUE",
    "AVE": "AVENUE",
    "BD": "BOULEVARD",
    "BLD": "BOULEVARD",
    "BLVD": "BOULEVARD",
    "BVD": "BOULEVARD",
    "CHE": "CHEMIN",
    "CHEM": "CHEMIN",
    "CRS": "COURS",
    "DR": "DOCTEUR",
    "FBG": "FAUBOURG",
    "GAL": "GENERAL",
    "GEN": "GENERAL",
    "IMP": "IMPASSE",
    "MAL": "MARECHAL",
    "PL": "PLACE",
    "PDT": "PRESIDENT",
    "R": "RUE",
    "RPT": "ROND POINT",
    "RTE": "ROUTE",
    "SQ": "SQUARE",
    "ST": "SAINT",
    "STE": "SAINTE",
}
_SMALL = {"DE", "DU", "DES", "LA", "LE", "LES", "L", "D", "ET", "A", "AU", "AUX"}
_NUMBERED = re.compile(r"\b(R[DNTM]|CD|[ADNM]) ?0*([1-9]\d{0,3})(?!\d)")
_WRITTEN_OUT = re.compile(r"\b(?:ROUTE )?(NATIONALE|DEPARTEMENTALE) (?:N |NO |NUMERO )?0*([1-9]\d{0,3})\b")
_PARTS = re.compile(r"[^A-Z0-9]+")
_HOUSE_NUMBER = re.compile(r"^\d+[A-Z]?$")


def department_code(text: str) -> str:
    """``"1"`` and ``" 01"`` are ``"01"``, ``"2a"`` is ``"2A"``."""
    code = text.strip().upper()
    return code.zfill(2) if code.isascii() and code.isdigit() else code


def commune_code(text: str) -> str:
    """INSEE codes have five characters: ``"1004"`` is ``"01004"``, ``"2a004"`` is ``"2A004"``."""
    code = text.strip().upper()
    return code.zfill(5) if code.isascii() and code.isdigit() else code


def department_of(commune: str) -> str:
    """The department of a commune code; overseas they take three characters."""
    return commune[:3] if commune.startswith(("97", "98")) else commune[:2]


def road_name(text: str) -> str:
    """A road's name without accents, case, house number, word order and the usual abbreviations.

    ``"D'HAUTPOUL (RUE)"`` and ``"12 rue d'Hautpoul"`` are one road. Numbered roads are their number: ``"RD 918"`` is
    ``"D918"``. Empty where the text names no road.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().upper().partition("/")[0]
    spaced = _PARTS.sub(" ", plain).strip()
    if spaced in _NOT_NAMES:
        return ""
    numbered = _NUMBERED.search(spaced)
    if numbered:
        return numbered[1][-1].replace("T", "N") + numbered[2]
    written = _WRITTEN_OUT.search(spaced)
    if written:
        return written[1][0] + written[2]
    words = " ".join(_ABBREVIATIONS.get(word, word) for word in spaced.split()).split()
    names = sorted({word for word in words if word not in _SMALL and not _HOUSE_NUMBER.match(word)})
    name = " ".join(names)
    return "" if name in _NOT_NAMES else name


_FIRST_YEAR, _LAST_YEAR = 2000, 2060


@cache
def utc_offsets(zone: str) -> tuple[list[float], list[float]]:
    """UTC seconds at which the zone's offset changes, and the offsets (seconds).

    One offset more than changes, the first of them holding before the first change. Changes are found to the hour,
    where all of them lie.
    """
    info = ZoneInfo(zone)

    def offset(moment: datetime) -> float:
        delta = moment.astimezone(info).utcoffset()
        assert delta is not None
        return delta.total_seconds()

    moment, end = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(_LAST_YEAR, 1, 1, tzinfo=UTC)
    changes: list[float] = []
    found = [offset(moment)]
    while moment < end:
        after = moment + timedelta(days=1)
        if offset(after) != found[-1]:
            while offset(moment) == found[-1]:
                moment += timedelta(hours=1)
            changes.append(moment.timestamp())
            found.append(offset(moment))
        moment = after
    return changes, found


@cache
def offsets_by_department() -> dict[str, tuple[list[float], list[float]]]:
    """Department -> ``offsets`` of its zone, for those with a zone of their own."""
    return {department: utc_offsets(zone) for department, zone in FRANCE.zones.items()}


def local_seconds(seconds: list[float], departments: list[str]) -> list[float]:
    """Seconds since 1970 on the local clock of each accident, from seconds since 1970 UTC; NaN stays NaN."""
    mainland, others = utc_offsets(FRANCE.zone), offsets_by_department()
    local = []
    for moment, department in zip(seconds, departments, strict=True):
        changes, found = others.get(department, mainland)
        local.append(moment + found[bisect_right(changes, moment)])
    return local
