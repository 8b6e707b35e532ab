"""Request model of ``fire_response``. Every field has its unit, bounds and examples in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import hypot
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from services.core.contract.fields import FIRST_YEAR, LAST_YEAR, in_zone, request_field
from services.core.contract.use_case import Text
from services.use_cases.fire_response.brigade import LONDON, to_grid

IncidentGroup = Literal["Fire", "False Alarm", "Special Service"]
PropertyCategory = Literal[
    "Aircraft",
    "Boat",
    "Dwelling",
    "Non Residential",
    "Other Residential",
    "Outdoor",
    "Outdoor Structure",
    "Rail Vehicle",
    "Road Vehicle",
]


class FireCall(BaseModel):
    """A call and the pump that is about to be sent."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    call_time: datetime = request_field(
        title=Text("Time of the call", "Heure de l'appel"),
        help=Text(
            "When the call came in. Without a zone it is London time.",
            "Quand l'appel est arrivé. Sans fuseau, c'est l'heure de Londres.",
        ),
        examples=["2017-03-14T18:25:00"],
    )
    easting: float | None = request_field(
        None,
        title=Text("Easting", "Est (Easting)"),
        help=Text(
            "British national grid; rounded is fine. Give it with the northing, or latitude and longitude instead.",
            "Grille nationale britannique ; l'arrondi convient. À donner avec le nord, ou bien latitude et longitude.",
        ),
        examples=[530850.0],
        unit="m",
        ge=LONDON.easting[0],
        le=LONDON.easting[1],
        allow_inf_nan=False,
    )
    northing: float | None = request_field(
        None,
        title=Text("Northing", "Nord (Northing)"),
        help=Text("British national grid; rounded is fine.", "Grille nationale britannique ; l'arrondi convient."),
        examples=[180950.0],
        unit="m",
        ge=LONDON.northing[0],
        le=LONDON.northing[1],
        allow_inf_nan=False,
    )
    latitude: float | None = request_field(
        None,
        title=Text("Latitude", "Latitude"),
        help=Text("WGS84; used where no grid place is given.", "WGS84 ; utilisée sans position sur la grille."),
        examples=[51.5124],
        unit="°",
        ge=51.1,
        le=52.0,
        allow_inf_nan=False,
    )
    longitude: float | None = request_field(
        None,
        title=Text("Longitude", "Longitude"),
        help=Text("WGS84; used where no grid place is given.", "WGS84 ; utilisée sans position sur la grille."),
        examples=[-0.1144],
        unit="°",
        ge=-0.8,
        le=0.6,
        allow_inf_nan=False,
    )
    incident_group: IncidentGroup | None = request_field(
        None,
        title=Text("Kind of incident", "Type d'incident"),
        help=Text(
            "As the call-taker knows it: a fire, an alarm that is probably false (most automatic alarms), or a "
            "special service such as a person shut in a lift. Leave it out where it is open.",
            "Ce que sait l'opérateur : un feu, une alarme probablement fausse (la plupart des alarmes automatiques) ou "
            "un service spécial, par exemple une personne bloquée. À omettre en cas de doute.",
        ),
        examples=["Fire"],
    )
    property_category: PropertyCategory | None = request_field(
        None,
        title=Text("Kind of property", "Catégorie de lieu"),
        help=Text("Where it happens, in broad terms.", "Le lieu, en termes généraux."),
        examples=["Dwelling"],
    )
    property_type: str | None = request_field(
        None,
        title=Text("Property", "Lieu"),
        help=Text(
            "The brigade's detailed name of the property; a new one is accepted with a warning.",
            "Le nom détaillé du lieu ; un nouveau nom est accepté avec un avertissement.",
        ),
        examples=["Purpose Built Flats/Maisonettes - 4 to 9 storeys"],
        max_length=120,
    )
    station_ground: str | None = request_field(
        None,
        title=Text("Station ground", "Secteur de la caserne"),
        help=Text(
            "The station whose ground the place lies in. Without it, that of the nearest past incidents.",
            "La caserne dont le secteur contient le lieu. Sinon, celle des incidents passés les plus proches.",
        ),
        examples=["Soho"],
        max_length=60,
    )
    deployed_from_station: str | None = request_field(
        None,
        title=Text("Deployed from station", "Caserne de départ"),
        help=Text(
            "Where the pump comes from. Without it the nearest open station is assumed, and the answer says so.",
            "D'où part l'engin. Sinon la caserne ouverte la plus proche est supposée, et la réponse le dit.",
        ),
        examples=["Soho"],
        max_length=60,
    )
    pump_order: int = request_field(
        1,
        title=Text("Pump order", "Rang de l'engin"),
        help=Text("1 for the first pump sent, 2 for the second.", "1 pour le premier engin, 2 pour le second."),
        examples=[1],
        ge=1,
        le=20,
    )
    pumps_already_out: int | None = request_field(
        None,
        title=Text("Pumps already out", "Engins déjà sortis"),
        help=Text(
            "How many of the brigade's pumps are at other incidents at this moment.",
            "Combien d'engins du service sont déjà engagés sur d'autres incidents.",
        ),
        examples=[11],
        ge=0,
        le=500,
    )

    @field_validator("call_time", mode="after")
    @classmethod
    def _with_zone(cls, moment: datetime) -> datetime:
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise ValueError(f"call_time lies in the years {FIRST_YEAR} to {LAST_YEAR}")
        return in_zone(moment, LONDON.zone)

    @model_validator(mode="after")
    def _on_the_grid(self) -> Self:
        """Fill in easting and northing where latitude and longitude were sent.

        Raises:
            ValueError: half a place, none, or one outside the brigade's bounds.
        """
        if self.easting is not None and self.northing is not None:
            return self
        if self.easting is not None or self.northing is not None:
            raise ValueError("easting and northing go together: send both, or latitude and longitude")
        if self.latitude is None or self.longitude is None:
            raise ValueError("a place is needed: easting and northing, or latitude and longitude")
        easting, northing = to_grid(self.latitude, self.longitude)
        low, high = LONDON.easting
        if not low <= easting <= high:
            raise ValueError(f"the place lies at easting {easting:.0f} m, outside {low:.0f} to {high:.0f}")
        low, high = LONDON.northing
        if not low <= northing <= high:
            raise ValueError(f"the place lies at northing {northing:.0f} m, outside {low:.0f} to {high:.0f}")
        self.easting, self.northing = easting, northing
        return self


_SAME_PLACE_METRES = 2_000.0


def contradictions(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a call says twice and differently about the place: the grid counts, and the degrees lie elsewhere."""
    latitude, longitude = fields["latitude"], fields["longitude"]
    if latitude is None or longitude is None:
        return []
    easting, northing = to_grid(latitude, longitude)
    far = hypot(easting - fields["easting"], northing - fields["northing"])
    if far <= _SAME_PLACE_METRES:
        return []
    return [("latitude", f"Latitude and longitude lie {far / 1_000:.0f} km from easting and northing, which count.")]
