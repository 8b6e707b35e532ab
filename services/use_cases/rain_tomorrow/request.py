"""Request model of ``rain_tomorrow``: today's observations at a station."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, ConfigDict

from services.core.contract.fields import request_field
from services.core.contract.use_case import Text
from services.use_cases.rain_tomorrow.stations import Direction, StationName


def _number(
    en: str, fr: str, unit: str, low: float, high: float, *, example: float, help: Text | None = None
) -> float | None:
    number: float | None = request_field(
        None,
        title=Text(en, fr),
        help=help or Text("As observed today at this station.", "Relevé du jour à cette station."),
        examples=[example],
        unit=unit,
        ge=low,
        le=high,
    )
    return number


def _wind(en: str, fr: str, example: str) -> Direction | None:
    wind: Direction | None = request_field(
        None,
        title=Text(en, fr),
        help=Text(
            "Where the wind comes from, one of the 16 points of the compass (W is west); none when calm.",
            "D'où vient le vent, une des 16 directions en anglais (W : ouest) ; rien par temps calme.",
        ),
        examples=[example],
    )
    return wind


class RainRequest(BaseModel):
    """Today's observations at a station. All but the station and the date may be missing; each makes the answer
    sharper, and so do the station's last days and the other stations' day, which the platform adds itself."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    station: StationName = request_field(
        title=Text("Station", "Station"),
        help=Text("One of the Bureau's stations.", "Une des stations du Bureau of Meteorology."),
        examples=["Sydney"],
    )
    date: dt.date = request_field(
        title=Text("Date", "Date"),
        help=Text(
            "The day of the observations; the answer is about the day after it.",
            "Le jour des relevés ; la réponse porte sur le lendemain.",
        ),
        examples=["2015-11-03"],
    )
    min_temperature: float | None = _number("Lowest temperature", "Température minimale", "°C", -30, 60, example=16.4)
    max_temperature: float | None = _number("Highest temperature", "Température maximale", "°C", -30, 60, example=22.1)
    rainfall: float | None = _number(
        "Rain to 9 am", "Pluie jusqu'à 9 h", "mm", 0, 1_000, example=3.2,
        help=Text("Rain in the 24 hours to 9 am today.", "Pluie des 24 heures jusqu'à 9 h ce jour."),
    )  # fmt: skip
    evaporation: float | None = _number("Evaporation", "Évaporation", "mm", 0, 200, example=4.2)
    sunshine: float | None = _number("Sunshine", "Ensoleillement", "h", 0, 24, example=5.1)
    gust_direction: Direction | None = _wind(
        "Direction of the strongest gust", "Direction de la plus forte rafale", "S"
    )
    gust_speed: float | None = _number(
        "Speed of the strongest gust", "Vitesse de la plus forte rafale", "km/h", 0, 400, example=46
    )
    wind_direction_9am: Direction | None = _wind("Wind at 9 am", "Vent à 9 h", "SW")
    wind_direction_3pm: Direction | None = _wind("Wind at 3 pm", "Vent à 15 h", "SSE")
    wind_speed_9am: float | None = _number("Wind speed at 9 am", "Vitesse du vent à 9 h", "km/h", 0, 200, example=13)
    wind_speed_3pm: float | None = _number("Wind speed at 3 pm", "Vitesse du vent à 15 h", "km/h", 0, 200, example=24)
    humidity_9am: float | None = _number("Humidity at 9 am", "Humidité à 9 h", "%", 0, 100, example=82)
    humidity_3pm: float | None = _number("Humidity at 3 pm", "Humidité à 15 h", "%", 0, 100, example=71)
    pressure_9am: float | None = _number("Pressure at 9 am", "Pression à 9 h", "hPa", 850, 1_100, example=1_012.4)
    pressure_3pm: float | None = _number("Pressure at 3 pm", "Pression à 15 h", "hPa", 850, 1_100, example=1_010.8)
    cloud_9am: float | None = _number("Cloud at 9 am", "Nébulosité à 9 h", "oktas", 0, 9, example=7)
    cloud_3pm: float | None = _number("Cloud at 3 pm", "Nébulosité à 15 h", "oktas", 0, 9, example=6)
    temperature_9am: float | None = _number("Temperature at 9 am", "Température à 9 h", "°C", -30, 60, example=18.2)
    temperature_3pm: float | None = _number("Temperature at 3 pm", "Température à 15 h", "°C", -30, 60, example=20.6)
