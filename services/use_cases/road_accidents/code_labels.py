"""Official codes and the labels that callers use, vehicles included. Standard library alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from services.core.contract.use_case import Text

Light = Literal["daylight", "dusk_or_dawn", "night_no_lamps", "night_lamps_off", "night_lamps_on"]
Weather = Literal[
    "clear", "light_rain", "heavy_rain", "snow_or_hail", "fog_or_smoke", "storm", "glare", "overcast", "other"
]
RoadCategory = Literal[
    "motorway", "national", "departmental", "municipal", "metropolitan", "private", "car_park", "other"
]
Collision = Literal["head_on", "rear_end", "side", "chain", "multiple", "other", "none"]
Intersection = Literal[
    "none",
    "crossroads",
    "t_junction",
    "y_junction",
    "more_than_four",
    "roundabout",
    "square",
    "level_crossing",
    "other",
]
Surface = Literal["dry", "wet", "puddles", "flooded", "snow", "mud", "ice", "oil", "other"]
Slope = Literal["flat", "slope", "hilltop", "foot_of_hill"]
Bend = Literal["straight", "left", "right", "s_bend"]
Traffic = Literal["one_way", "two_way", "separated", "variable"]
Spot = Literal["carriageway", "hard_shoulder", "verge", "pavement", "cycle_path", "special_lane", "other"]
Structure = Literal[
    "none",
    "tunnel",
    "bridge",
    "slip_road",
    "railway",
    "built_junction",
    "pedestrian_zone",
    "toll",
    "roadworks",
    "other",
]
Obstacle = Literal[
    "none", "parked_vehicle", "tree", "barrier", "wall", "post", "kerb", "ditch_or_bank", "left_road", "other"
]

CODE_LABELS: Mapping[str, Mapping[int, str]] = {
    "lum": {1: "daylight", 2: "dusk_or_dawn", 3: "night_no_lamps", 4: "night_lamps_off", 5: "night_lamps_on"},
    "atm": {
        1: "clear",
        2: "light_rain",
        3: "heavy_rain",
        4: "snow_or_hail",
        5: "fog_or_smoke",
        6: "storm",
        7: "glare",
        8: "overcast",
        9: "other",
    },
    "catr": {
        1: "motorway",
        2: "national",
        3: "departmental",
        4: "municipal",
        5: "private",
        6: "car_park",
        7: "metropolitan",
        9: "other",
    },
    "col": {1: "head_on", 2: "rear_end", 3: "side", 4: "chain", 5: "multiple", 6: "other", 7: "none"},
    "int": {
        1: "none",
        2: "crossroads",
        3: "t_junction",
        4: "y_junction",
        5: "more_than_four",
        6: "roundabout",
        7: "square",
        8: "level_crossing",
        9: "other",
    },
    "surf": {
        1: "dry",
        2: "wet",
        3: "puddles",
        4: "flooded",
        5: "snow",
        6: "mud",
        7: "ice",
        8: "oil",
        9: "other",
    },
    "prof": {1: "flat", 2: "slope", 3: "hilltop", 4: "foot_of_hill"},
    "plan": {1: "straight", 2: "left", 3: "right", 4: "s_bend"},
    "circ": {1: "one_way", 2: "two_way", 3: "separated", 4: "variable"},
    "situ": {
        1: "carriageway",
        2: "hard_shoulder",
        3: "verge",
        4: "pavement",
        5: "cycle_path",
        6: "special_lane",
        8: "other",
    },
    "infra": {
        0: "none",
        1: "tunnel",
        2: "bridge",
        3: "slip_road",
        4: "railway",
        5: "built_junction",
        6: "pedestrian_zone",
        7: "toll",
        8: "roadworks",
        9: "other",
    },
    "obs": {
        0: "none",
        1: "parked_vehicle",
        2: "tree",
        3: "barrier",
        4: "barrier",
        5: "barrier",
        6: "wall",
        7: "post",
        8: "post",
        9: "post",
        10: "barrier",
        11: "kerb",
        12: "kerb",
        13: "ditch_or_bank",
        14: "other",
        15: "other",
        16: "left_road",
        17: "ditch_or_bank",
    },
}

OBSTACLES_BY_HARDNESS: tuple[str, ...] = (
    "tree",
    "wall",
    "post",
    "barrier",
    "ditch_or_bank",
    "parked_vehicle",
    "kerb",
    "other",
    "left_road",
    "none",
)
"""Where several vehicles hit something, the obstacle that a caller would name."""


class VehicleKind(NamedTuple):
    """A kind of vehicle that callers count, with its official codes."""

    title: Text
    codes: tuple[int, ...]
    """``catv`` of all years; codes 04 to 06, 08, 09, 11, 12, 18 and 19 went out of use in 2006."""


VEHICLE_KINDS: Mapping[str, VehicleKind] = {
    "bicycles": VehicleKind(Text("Bicycles", "Vélos"), (1, 80)),
    "e_scooters": VehicleKind(Text("E-scooters and the like", "Trottinettes et autres EDP"), (50, 60)),
    "mopeds": VehicleKind(Text("Mopeds, to 50 cc", "Cyclomoteurs, jusqu'à 50 cm³"), (2, 4, 30, 41)),
    "scooters": VehicleKind(Text("Scooters, above 50 cc", "Scooters de plus de 50 cm³"), (32, 34, 42, 43)),
    "motorcycles": VehicleKind(Text("Motorcycles", "Motos"), (5, 6, 31, 33)),
    "quads": VehicleKind(Text("Quads", "Quads"), (35, 36)),
    "microcars": VehicleKind(Text("Cars without a licence", "Voitures sans permis"), (3,)),
    "cars": VehicleKind(Text("Cars", "Voitures"), (7, 8, 9)),
    "vans": VehicleKind(Text("Vans", "Utilitaires légers"), (10, 11, 12)),
    "trucks": VehicleKind(Text("Trucks", "Poids lourds"), (13, 14, 15, 16, 17)),
    "buses": VehicleKind(Text("Buses and coaches", "Bus et cars"), (18, 37, 38)),
    "trams": VehicleKind(Text("Trams and trains", "Tramways et trains"), (19, 39, 40)),
    "tractors": VehicleKind(Text("Farm and special vehicles", "Tracteurs et engins"), (20, 21)),
    "other_vehicles": VehicleKind(Text("Other or unknown vehicles", "Autres véhicules ou inconnus"), (0, 99)),
}
OTHER_VEHICLES = "other_vehicles"
KIND_OF_CODE: Mapping[int, str] = {code: name for name, kind in VEHICLE_KINDS.items() for code in kind.codes}

VEHICLE_PRIORITY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("bicycle", ("bicycles", "e_scooters")),
    ("powered two-wheeler", ("mopeds", "scooters", "motorcycles", "quads")),
    ("heavy vehicle", ("trucks", "buses", "trams", "tractors")),
    ("car or van", ("cars", "vans", "microcars")),
)
"""Name of a subgroup and the kinds that put an accident into it, the most vulnerable first."""

VEHICLE_GROUPS: Mapping[str, tuple[str, ...]] = {
    "two_wheelers": ("mopeds", "scooters", "motorcycles"),
    "muscle_powered": ("bicycles", "e_scooters"),
    "light_vehicles": ("microcars", "cars", "vans"),
    "heavy_vehicles": ("trucks", "buses", "trams", "tractors"),
}
"""Sums of kinds that protect the people on them alike."""
