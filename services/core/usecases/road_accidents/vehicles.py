"""Kinds of vehicles: the official codes (``catv``) in the words of a caller, who sees a scooter but not
its cylinder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.core.usecases.contract import Text


class Kind(NamedTuple):
    title: Text
    codes: tuple[int, ...]
    """``catv`` of all years; codes 04 to 06, 08, 09, 11, 12, 18 and 19 went out of use in 2006."""


KINDS: Mapping[str, Kind] = {
    "bicycles": Kind(Text("Bicycles", "Vélos"), (1, 80)),
    "e_scooters": Kind(Text("E-scooters and the like", "Trottinettes et autres EDP"), (50, 60)),
    "mopeds": Kind(Text("Mopeds, to 50 cc", "Cyclomoteurs, jusqu'à 50 cm³"), (2, 4, 30, 41)),
    "scooters": Kind(Text("Scooters, above 50 cc", "Scooters de plus de 50 cm³"), (32, 34, 42, 43)),
    "motorcycles": Kind(Text("Motorcycles", "Motos"), (5, 6, 31, 33)),
    "quads": Kind(Text("Quads", "Quads"), (35, 36)),
    "microcars": Kind(Text("Cars without a licence", "Voitures sans permis"), (3,)),
    "cars": Kind(Text("Cars", "Voitures"), (7, 8, 9)),
    "vans": Kind(Text("Vans", "Utilitaires légers"), (10, 11, 12)),
    "trucks": Kind(Text("Trucks", "Poids lourds"), (13, 14, 15, 16, 17)),
    "buses": Kind(Text("Buses and coaches", "Bus et cars"), (18, 37, 38)),
    "trams": Kind(Text("Trams and trains", "Tramways et trains"), (19, 39, 40)),
    "tractors": Kind(Text("Farm and special vehicles", "Tracteurs et engins"), (20, 21)),
    "other_vehicles": Kind(Text("Other or unknown vehicles", "Autres véhicules ou inconnus"), (0, 99)),
}
OTHER = "other_vehicles"
KIND_OF_CODE: Mapping[int, str] = {code: name for name, kind in KINDS.items() for code in kind.codes}

LEADING: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("bicycle", ("bicycles", "e_scooters")),
    ("powered two-wheeler", ("mopeds", "scooters", "motorcycles", "quads")),
    ("heavy vehicle", ("trucks", "buses", "trams", "tractors")),
    ("car or van", ("cars", "vans", "microcars")),
)
"""Name of a subgroup and the kinds that put an accident into it, the most vulnerable first."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "two_wheelers": ("mopeds", "scooters", "motorcycles"),
    "muscle_powered": ("bicycles", "e_scooters"),
    "light_vehicles": ("microcars", "cars", "vans"),
    "heavy_vehicles": ("trucks", "buses", "trams", "tractors"),
}
"""Sums of kinds that protect the people on them alike."""
