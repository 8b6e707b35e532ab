"""The weather of now over the brigade's area, where the weather is a feature (``Brigade.weather``)."""

from __future__ import annotations

from services.core.settings import Settings
from services.core.usecases.contract import ContextSource
from services.core.usecases.fire_response.brigade import LONDON
from services.core.weather.chosen import provider
from services.core.weather.live import LiveWeather

_LATITUDE, _LONGITUDE = 51.51, -0.12
"""The middle of the brigade's area, degrees."""


def source(settings: Settings) -> ContextSource | None:
    if not LONDON.weather:
        return None
    kept = settings.home.root / "weather" / "fire_response.npz"
    return LiveWeather(provider(settings, _LATITUDE, _LONGITUDE), kept)
