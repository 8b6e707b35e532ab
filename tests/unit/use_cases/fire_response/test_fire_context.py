"""The weather is fetched where it is a feature, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.core import use_case_registry
from services.core.settings import Settings
from services.core.weather.providers import WeatherFeed
from services.use_cases.fire_response import context


def test_a_model_without_weather_fetches_none(tmp_path: Path) -> None:
    settings = Settings.model_validate({"VIGIE_HOME": tmp_path, "weather_provider": "open-meteo"})
    assert use_case_registry.get("fire_response").context_source(settings) is None


def test_a_model_with_weather_keeps_it_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "LONDON", replace(context.LONDON, weather=True))
    source = use_case_registry.get("fire_response").context_source(Settings.model_validate({"VIGIE_HOME": tmp_path}))
    assert isinstance(source, WeatherFeed)
    assert source.warning() == "The weather is not known."
