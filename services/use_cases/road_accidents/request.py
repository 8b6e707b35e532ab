"""Request model of ``road_accidents``: what a caller reports about an accident, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator

from services.core.contract.fields import in_zone, request_field
from services.core.contract.use_case import Text
from services.use_cases.road_accidents import code_labels
from services.use_cases.road_accidents.code_labels import VEHICLE_KINDS
from services.use_cases.road_accidents.geography import FRANCE, commune_code, department_code, department_of, road_name

DEPARTMENT = r"^(0[1-9]|1[0-9]|2[1-9AB]|[3-8][0-9]|9[0-5]|97[1-8]|98[678])$"
COMMUNE = r"^([0-9]{2}|2[AB])[0-9]{3}$"


def _tidied(tidy: object) -> BeforeValidator:
    assert callable(tidy)
    return BeforeValidator(lambda value: tidy(value) if isinstance(value, str) else value)


Department = Annotated[str, StringConstraints(pattern=DEPARTMENT), _tidied(department_code)]
Commune = Annotated[str, StringConstraints(pattern=COMMUNE), _tidied(commune_code)]
Road = Annotated[str, StringConstraints(max_length=200), AfterValidator(road_name)]


def _count(kind: str, example: int) -> int:
    title = VEHICLE_KINDS[kind].title
    count: int = request_field(
        0,
        title=title,
        help=Text(
            "How many took part. If all counts are 0, the vehicles are taken as unknown.",
            "Nombre impliqué. Si tous les nombres sont à 0, les véhicules sont tenus pour inconnus.",
        ),
        examples=[example],
        unit="vehicles",
        ge=0,
        le=100,
    )
    return count


class RoadAccidentRequest(BaseModel):
    """A reported road accident. Only the time, the kind of road, the kind of collision and whether it is in a
    built-up area must be known; each further field makes the answer sharper."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    occurred_at: datetime = request_field(
        title=Text("Time of the accident", "Heure de l'accident"),
        help=Text(
            "With a zone; without one it is the local time of the department, of mainland France if none is given.",
            "Avec fuseau ; sans fuseau, l'heure locale du département, de métropole s'il n'est pas indiqué.",
        ),
        examples=["2024-10-12T18:40:00+02:00"],
    )
    urban: bool = request_field(
        title=Text("In a built-up area", "En agglomération"),
        help=Text("Between the town's entry and exit signs.", "Entre les panneaux d'entrée et de sortie de ville."),
        examples=[False],
    )
    road_category: code_labels.RoadCategory = request_field(
        title=Text("Kind of road", "Catégorie de route"),
        help=Text(
            "Motorway, national, departmental or municipal road, road of a metropolis, off the public network, "
            "car park, other.",
            "Autoroute, nationale, départementale, communale, route de métropole, hors réseau public, parking, autre.",
        ),
        examples=["departmental"],
    )
    collision: code_labels.Collision = request_field(
        title=Text("Kind of collision", "Type de collision"),
        help=Text(
            "Two vehicles head-on, from behind or from the side; three and more in a chain or several times; "
            "other (a pedestrian, an obstacle); none.",
            "Deux véhicules : frontale, par l'arrière, par le côté ; trois et plus : en chaîne, multiples ; "
            "autre (piéton, obstacle) ; sans collision.",
        ),
        examples=["head_on"],
    )
    bicycles: int = _count("bicycles", 0)
    e_scooters: int = _count("e_scooters", 0)
    mopeds: int = _count("mopeds", 0)
    scooters: int = _count("scooters", 0)
    motorcycles: int = _count("motorcycles", 1)
    quads: int = _count("quads", 0)
    microcars: int = _count("microcars", 0)
    cars: int = _count("cars", 1)
    vans: int = _count("vans", 0)
    trucks: int = _count("trucks", 0)
    buses: int = _count("buses", 0)
    trams: int = _count("trams", 0)
    tractors: int = _count("tractors", 0)
    other_vehicles: int = _count("other_vehicles", 0)
    pedestrians: int = request_field(
        0,
        title=Text("Pedestrians", "Piétons"),
        help=Text("How many took part, hurt or not.", "Nombre de piétons impliqués, blessés ou non."),
        examples=[0],
        unit="people",
        ge=0,
        le=200,
    )
    people: int | None = request_field(
        None,
        title=Text("People", "Personnes"),
        help=Text(
            "Everyone involved, hurt or not: drivers, passengers, pedestrians.",
            "Toutes les personnes impliquées, blessées ou non : conducteurs, passagers, piétons.",
        ),
        examples=[3],
        unit="people",
        ge=1,
        le=1_000,
    )
    latitude: float | None = request_field(
        None,
        title=Text("Latitude", "Latitude"),
        help=Text("WGS 84; used together with the longitude.", "WGS 84 ; utilisée avec la longitude."),
        examples=[45.1885],
        unit="°",
        ge=-90,
        le=90,
    )
    longitude: float | None = request_field(
        None,
        title=Text("Longitude", "Longitude"),
        help=Text("WGS 84; used together with the latitude.", "WGS 84 ; utilisée avec la latitude."),
        examples=[5.7245],
        unit="°",
        ge=-180,
        le=180,
    )
    department: Department | None = request_field(
        None,
        title=Text("Department", "Département"),
        help=Text("Code of the department, 01 to 95, 2A, 2B, 971 to 988.", "Code du département."),
        examples=["38"],
    )
    commune: Commune | None = request_field(
        None,
        title=Text("Commune", "Commune"),
        help=Text("INSEE code, five characters (not the postal code).", "Code INSEE (et non postal)."),
        examples=["38185"],
    )
    road: Road | None = request_field(
        None,
        title=Text("Road", "Voie"),
        help=Text("Number or name of the road or street.", "Numéro ou nom de la voie."),
        examples=["D1532"],
    )
    speed_limit: int | None = request_field(
        None,
        title=Text("Speed limit", "Vitesse maximale autorisée"),
        help=Text("The limit at the place, for cars.", "Limite en vigueur sur les lieux, pour les voitures."),
        examples=[80],
        unit="km/h",
        ge=FRANCE.speed_limits[0],
        le=FRANCE.speed_limits[1],
    )
    light: code_labels.Light | None = request_field(
        None,
        title=Text("Light", "Luminosité"),
        help=Text(
            "Daylight, dusk or dawn, or night: without lamps, with lamps off, with lamps on.",
            "Plein jour, crépuscule ou aube, nuit sans éclairage, éclairage éteint, éclairage allumé.",
        ),
        examples=["dusk_or_dawn"],
    )
    weather: code_labels.Weather | None = request_field(
        None,
        title=Text("Weather", "Conditions atmosphériques"),
        help=Text("The weather at the place.", "Le temps qu'il fait sur les lieux."),
        examples=["clear"],
    )
    intersection: code_labels.Intersection | None = request_field(
        None,
        title=Text("Intersection", "Intersection"),
        help=Text("None, or the kind of junction.", "Hors intersection, ou type d'intersection."),
        examples=["none"],
    )
    surface: code_labels.Surface | None = request_field(
        None,
        title=Text("Surface", "État de la surface"),
        help=Text("State of the road's surface.", "État de la chaussée."),
        examples=["dry"],
    )
    slope: code_labels.Slope | None = request_field(
        None,
        title=Text("Slope", "Profil en long"),
        help=Text("Flat, on a slope, top or foot of a hill.", "Plat, pente, sommet ou bas de côte."),
        examples=["flat"],
    )
    bend: code_labels.Bend | None = request_field(
        None,
        title=Text("Bend", "Tracé en plan"),
        help=Text("Straight, a bend to the left or right, an S.", "Rectiligne, courbe à gauche, à droite, en S."),
        examples=["left"],
    )
    traffic: code_labels.Traffic | None = request_field(
        None,
        title=Text("Traffic", "Régime de circulation"),
        help=Text(
            "One way, both ways, separated carriageways, lanes that change direction.",
            "Sens unique, bidirectionnelle, chaussées séparées, voies à affectation variable.",
        ),
        examples=["two_way"],
    )
    spot: code_labels.Spot | None = request_field(
        None,
        title=Text("Where on the road", "Situation"),
        help=Text("Where it came to the accident.", "Où l'accident s'est produit sur la voie."),
        examples=["carriageway"],
    )
    structure: code_labels.Structure | None = request_field(
        None,
        title=Text("Structure", "Aménagement"),
        help=Text("Tunnel, bridge, slip road, works and the like.", "Tunnel, pont, bretelle, chantier, etc."),
        examples=["none"],
    )
    obstacle: code_labels.Obstacle | None = request_field(
        None,
        title=Text("Obstacle", "Obstacle fixe heurté"),
        help=Text(
            "The fixed obstacle that was hit, if any: the hardest one where there were several.",
            "L'obstacle fixe heurté, s'il y en a un : le plus dur s'il y en a plusieurs.",
        ),
        examples=["none"],
    )

    @model_validator(mode="after")
    def _on_the_local_clock(self) -> Self:
        """Give a time without a zone the zone of its department, as the official files mean it."""
        if self.occurred_at.tzinfo is None:
            department = self.department or department_of(self.commune or "")
            self.occurred_at = in_zone(self.occurred_at, FRANCE.zones.get(department, FRANCE.zone))
        return self


_MARGIN = 0.3
"""Degrees that a place may lie outside of the box of its department's region."""


def contradictions(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a request says twice and differently about the place."""
    department, commune = fields["department"], fields["commune"]
    found = []
    if department and commune and department_of(commune) != department:
        found.append(("commune", f"The commune lies in department {department_of(commune)}, not in {department}."))
    code = department or department_of(commune or "")
    latitude, longitude = fields["latitude"], fields["longitude"]
    if code in FRANCE.box_names and latitude is not None and longitude is not None:
        south, north, west, east = FRANCE.boxes[FRANCE.box_names[code]]
        if not (south - _MARGIN <= latitude <= north + _MARGIN and west - _MARGIN <= longitude <= east + _MARGIN):
            found.append(("latitude", f"Latitude and longitude lie far from department {code}."))
    return found


OPTIONAL_WORDS = (
    "light",
    "weather",
    "intersection",
    "surface",
    "slope",
    "bend",
    "traffic",
    "spot",
    "structure",
    "obstacle",
)
OPTIONAL_TEXTS = ("department", "commune", "road")
OPTIONAL_NUMBERS = ("people", "latitude", "longitude", "speed_limit")
