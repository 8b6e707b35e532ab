"""What is France about this use case, in one object: another country starts by changing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class Place:
    """Time zones, areas and limits of the country whose accidents are described."""

    zone: str
    """Zone of a naive call time, and of every department without a zone of its own."""
    zones: Mapping[str, str]
    """Departments with a zone of their own. Official files give local times everywhere."""
    areas: Mapping[str, str]
    """Department -> area, the subgroup that metrics are reported for."""
    speed_limits: tuple[int, int] = (5, 130)
    """Lowest and highest speed limit that is believed, km/h; others in a file are missing values."""
    departments: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "departments", frozenset(self.areas))


FRANCE = Place(
    zone="Europe/Paris",
    zones=_OVERSEAS_ZONES,
    areas={code: region for region, codes in _REGIONS.items() for code in codes.split()},
)
