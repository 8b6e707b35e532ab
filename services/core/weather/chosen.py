"""The provider that the settings ask for."""

from __future__ import annotations

from services.core.errors import VigieError
from services.core.settings import Settings
from services.core.weather.csv_file import CsvWeather
from services.core.weather.hours import NoWeather, Provider
from services.core.weather.online import OPEN_METEO, VISUAL_CROSSING, OpenMeteo, VisualCrossing


def provider(chosen: Settings, latitude: float, longitude: float) -> Provider:
    """The weather at a place in degrees.

    Raises:
        VigieError: the provider needs a file or a key that is not set.
    """
    url = str(chosen.weather_url) if chosen.weather_url else None
    if chosen.weather_provider == "csv":
        if chosen.weather_file is None:
            raise VigieError(
                "The weather is to come from a CSV file, but none is named.", action="Set VIGIE_WEATHER_FILE."
            )
        return CsvWeather(chosen.weather_file)
    if chosen.weather_provider == "open-meteo":
        return OpenMeteo(latitude, longitude, url=url or OPEN_METEO)
    if chosen.weather_provider == "visual-crossing":
        if not chosen.weather_key:
            raise VigieError("Visual Crossing needs a key, but none is set.", action="Set VIGIE_WEATHER_KEY.")
        return VisualCrossing(latitude, longitude, chosen.weather_key, url=url or VISUAL_CROSSING)
    return NoWeather()
