"""Current weather over the brigade's area as context for predictions, where the weather is a feature."""

from __future__ import annotations

from services.core.contract.use_case import ContextSource
from services.core.settings import Settings
from services.core.weather.providers import WeatherFeed, create_provider
from services.use_cases.fire_response.brigade import LONDON

_LATITUDE, _LONGITUDE = 51.51, -0.12
"""The middle of the brigade's area, degrees."""


def source(settings: Settings) -> ContextSource | None:
    """The weather feed; None where the weather is no feature."""
    if not LONDON.weather:
        return None
    kept = settings.home.root / "weather" / "fire_response.npz"
    return WeatherFeed(create_provider(settings, _LATITUDE, _LONGITUDE), kept)
