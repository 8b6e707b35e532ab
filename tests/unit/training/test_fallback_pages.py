"""The tables for the day when nothing answers: in both languages, by area, self-contained."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from services.core import use_case_registry
from services.core.paths import VigiePaths
from services.training import fallback_pages

FIRE = use_case_registry.get("fire_response")


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    rows = 90
    return pd.DataFrame(
        {
            "station_ground": ["Alder <Bridge>"] * 40 + ["Birch Green"] * 40 + ["Rare"] * 10,
            "prediction.attendance_seconds": np.linspace(200.0, 400.0, rows),
            "prediction.over_360s": np.full(rows, 0.25),
            "prediction.pumps": np.full(rows, 1),
        }
    )


def test_a_page_has_the_published_averages_and_a_line_for_each_area(sample: pd.DataFrame) -> None:
    text = fallback_pages.render_page(FIRE, sample, "en", version="3", simulated=False)
    assert "312 s" in text, "the brigade's published average"
    assert "Alder &lt;Bridge&gt;" in text
    assert "Birch Green" in text
    assert "Rare" not in text, "too few rows say nothing"
    assert "SIMULATED" not in text


def test_pages_from_simulated_data_say_so_in_both_languages(sample: pd.DataFrame) -> None:
    assert "MADE FROM SIMULATED DATA" in fallback_pages.render_page(FIRE, sample, "en", version="3", simulated=True)
    assert "DONNÉES SIMULÉES" in fallback_pages.render_page(FIRE, sample, "fr", version="3", simulated=True)


@pytest.mark.parametrize("name", use_case_registry.names())
def test_every_use_case_has_a_page_in_both_languages_that_needs_nothing_else(name: str, tmp_path: Path) -> None:
    fallback_pages.write(tmp_path, use_case_registry.get(name), pd.DataFrame(), version="1", simulated=True)
    for language in ("en", "fr"):
        text = (tmp_path / f"{name}.{language}.html").read_text()
        assert f"<html lang='{language}'" in text
        assert re.findall(r"(?:src|href)='(?!index\.html|\w+\.(?:en|fr)\.html)", text) == []
        assert "<script" not in text
    assert f"{name}.fr.html" in (tmp_path / "index.html").read_text()


def test_a_promotion_stands_where_its_tables_cannot_be_written(tmp_path: Path) -> None:
    class Away:
        def download(self, *_: Any) -> Path:
            raise ConnectionError

    champion = cast("Any", SimpleNamespace(use_case="fire_response", number=1, simulated=True))
    assert fallback_pages.publish(VigiePaths(tmp_path), cast("Any", Away()), champion) is False
