"""A base file of each layout that is understood: about 40 rows, without a fault."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from services.core import use_case_registry


@dataclass(slots=True)
class Sheet:
    """One delimited file, taken apart."""

    header: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    encoding: str = "utf-8"
    quoting: int = csv.QUOTE_MINIMAL
    newline: str = "\n"
    above: list[str] = field(default_factory=list)
    below: str = ""
    cut: float = 1.0
    """Share of the last row's text that is there."""
    edit: list[Callable[[str], str]] = field(default_factory=list)
    """Changes of the finished text."""

    def column(self, name: str) -> list[str]:
        place = self.header.index(name)
        return [row[place] if place < len(row) else "" for row in self.rows]

    def replace(self, name: str, values: list[str]) -> None:
        place = self.header.index(name)
        for row, value in zip(self.rows, values, strict=True):
            if place < len(row):
                row[place] = value

    def content(self) -> bytes:
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, delimiter=self.delimiter, quoting=self.quoting, lineterminator=self.newline)
        writer.writerows([self.header, *self.rows])
        text = "".join(line + self.newline for line in self.above) + stream.getvalue() + self.below
        if self.cut < 1:
            last = text[: -len(self.newline)].rfind("\n") + 1
            text = text[: last + max(1, int((len(text) - last - len(self.newline)) * self.cut))]
        for change in self.edit:
            text = change(text)
        return text.encode(self.encoding, "replace")


Files = dict[str, Sheet]
"""Name -> file."""


def parsed(text: str, delimiter: str | None = None, above: int = 0) -> Sheet:
    lines = text.splitlines()
    mark = delimiter or max(",;\t", key=lines[above].count)
    header, *rows = csv.reader(lines[above:], delimiter=mark)
    quoted = csv.QUOTE_ALL if lines[above].startswith('"') else csv.QUOTE_MINIMAL
    return Sheet(header, rows, mark, quoting=quoted, above=lines[:above])


def _simulated(use_case: str, rows: int, days: int) -> Files:
    with TemporaryDirectory() as folder:
        simulator = use_case_registry.get(use_case).simulator
        paths = simulator.write(Path(folder), seed=5, rows=rows, start="2023-03-01", days=days, drift=())
        return {
            path.name.replace("simulated", "official"): parsed(path.read_text(encoding="utf-8"))
            for path in paths
            if path.suffix == ".csv"
        }


def _fire() -> Files:
    files = _simulated("fire_response", 60, 20)
    return {name: sheet for name, sheet in files.items() if "stations" not in name}


_ACCIDENTS = 30


def _old_accidents() -> Files:
    """The layout before 2019: department with a zero behind, coordinates in units of 1e-5 degrees, times as digits."""
    ids = [f"2015000000{number:02d}" for number in range(_ACCIDENTS)]
    places = (("590", "350", 5063000, 306000), ("750", "101", 4885000, 235000), ("130", "55", 4330000, 540000))
    heads, roads, vehicles, people = [], [], [], []
    for number, name in enumerate(ids):
        department, commune, latitude, longitude = places[number % 3]
        hour = f"{number % 24 * 100 + number % 6 * 10}"
        when = ["15", str(number % 12 + 1), str(number % 28 + 1), hour]
        head = [name, *when, "1", str(number % 2 + 1), "1", "1", str(number % 7 + 1), commune, "RUE DES ECOLES", "M"]
        heads.append([*head, str(latitude + number * 37), str(longitude + number * 53), department])
        roads.append([name, "3", "12", "", "", "2", "2", "", "", "0", "1", "1", "0", "60", "1", "0", "1", "0"])
        for place in range(number % 2 + 1):
            vehicle = f"{'AB'[place]}01"
            vehicles.append([name, "0", "7", "0", "0", "2", "1", "1", vehicle])
            grave = "13" if number % 3 else "44"
            people.append([name, "1", "1", grave[place], "1", "5", "11", "0", "0", "0", str(1950 + number), vehicle])
    tables = zip(_OLD_HEADERS.items(), (heads, roads, vehicles, people), strict=True)
    return {f"{name}_2015.csv": Sheet(header.split(), rows) for (name, header), rows in tables}


_OLD_HEADERS = {
    "caracteristiques": "Num_Acc an mois jour hrmn lum agg int atm col com adr gps lat long dep",
    "lieux": "Num_Acc catr voie v1 v2 circ nbv pr pr1 vosp prof plan lartpc larrout surf infra situ env1",
    "vehicules": "Num_Acc senc catv occutc obs obsm choc manv num_veh",
    "usagers": "Num_Acc place catu grav sexe trajet secu locp actp etatp an_nais num_veh",
}
_MONTHLY = (
    ',"Date","Minimum temperature (°C)","Maximum temperature (°C)","Rainfall (mm)","Evaporation (mm)",'
    '"Sunshine (hours)","Direction of maximum wind gust ","Speed of maximum wind gust (km/h)",'
    '"Time of maximum wind gust","9am Temperature (°C)","9am relative humidity (%)","9am cloud amount (oktas)",'
    '"9am wind direction","9am wind speed (km/h)","9am MSL pressure (hPa)","3pm Temperature (°C)",'
    '"3pm relative humidity (%)","3pm cloud amount (oktas)","3pm wind direction","3pm wind speed (km/h)",'
    '"3pm MSL pressure (hPa)"'
)


def _monthly() -> Files:
    rows = [
        f",2023-06-{day},{5 + day % 7}.5,{14 + day % 9}.2,{day % 4}.6,1.2,{day % 8}.1,NNW,{20 + day},13:{10 + day},"
        f"{8 + day % 5}.4,{60 + day},{day % 9},W,{day % 12 + 2},10{10 + day % 20}.3,{12 + day % 6}.8,{40 + day},"
        f"{day % 8},SSW,{day % 15 + 3},10{12 + day % 18}.1"
        for day in range(1, 31)
    ]
    title = ['"Daily Weather Observations for Melbourne, Victoria for June 2023"', '"Copyright 2003"', ""]
    sheet = parsed("\n".join([*title, _MONTHLY, *rows]), ",", above=len(title))
    sheet.encoding = "cp1252"
    return {"IDCJDW3050.202306.csv": sheet}


def _products() -> Files:
    files = _simulated("product_category", 60, 20)
    return {
        name: sheet for name, sheet in files.items() if "prdtypecode" in sheet.header or "designation" in sheet.header
    }


LAYOUTS: Mapping[str, tuple[str, Callable[[], Files]]] = {
    "accidents since 2019": ("road_accidents", lambda: _simulated("road_accidents", 60, 20)),
    "accidents before 2019": ("road_accidents", _old_accidents),
    "incidents and mobilisations": ("fire_response", _fire),
    "weatherAUS": ("rain_tomorrow", lambda: _simulated("rain_tomorrow", 80, 4)),
    "monthly observations": ("rain_tomorrow", _monthly),
    "wines": ("wine_quality", lambda: _simulated("wine_quality", 60, 20)),
    "products and codes": ("product_category", _products),
}
"""Name of a layout -> use case and its files."""


@cache
def _made(layout: str) -> Files:
    return LAYOUTS[layout][1]()


def base(layout: str) -> Files:
    """A copy of the layout's files that may be changed."""
    return {
        name: Sheet(
            list(sheet.header),
            [list(row) for row in sheet.rows],
            sheet.delimiter,
            sheet.encoding,
            sheet.quoting,
            above=list(sheet.above),
        )
        for name, sheet in _made(layout).items()
    }
