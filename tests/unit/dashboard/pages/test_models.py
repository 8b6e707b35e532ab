"""What the page Models makes of a version: changes, gains, what the gate's checks mean."""

from __future__ import annotations

from typing import Any

import pytest

from services.core.auth.principal import Role
from services.core.messages import Formats, Language, Translator
from services.dashboard.components.use_cases import improvement, metric_title, metric_value, target_title
from services.dashboard.pages.models.diff import changed_values, data_lines, metric_changes
from services.dashboard.pages.models.version import _check_result
from services.dashboard.session import Session, User
from tests.toy.declaration import USE_CASE


def _session(language: Language) -> Session:
    user = User("u-1", "ada", Role.OPERATOR, "north", (), None)
    return Session(user, Translator(language), Formats(language), None, False)  # type: ignore[arg-type]


def _check(new_gain: float, limit: float, by_chance: float) -> dict[str, Any]:
    return {"measured": {"gain": new_gain, "worse_by_chance": by_chance}, "limit": limit}


def test_every_metric_of_either_version_is_compared() -> None:
    old = {"metrics": {"seconds": {"mae": 70.0, "rmse": 90.0}}}
    new = {"metrics": {"seconds": {"mae": 60.0}, "late": {"brier": 0.2}}}
    found = {(change.target, change.metric): change.gain for change in metric_changes(old, new)}
    assert found == {("seconds", "mae"): 10.0, ("seconds", "rmse"): None, ("late", "brier"): None}


@pytest.mark.parametrize(
    ("metric", "new", "old", "better"),
    [
        ("mae", 60, 70, True),
        ("roc_auc", 0.8, 0.9, False),
        ("coverage_90", 0.89, 0.95, True),
        ("brier", 0.2, 0.1, False),
    ],
)
def test_a_gain_knows_which_way_is_better(metric: str, new: float, old: float, better: bool) -> None:
    assert (improvement(metric, new, old) > 0) is better


def test_only_what_differs_is_shown() -> None:
    assert changed_values({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == [("b", "2", "3"), ("c", "–", "4")]


def test_a_slice_is_one_line_with_rows_and_span() -> None:
    data = {
        "seconds.train.rows": 3107,
        "seconds.train.from": "2024-01-01T00:53:00+00:00",
        "seconds.train.to": "2024-05-10T22:50:00+00:00",
        "examples.sha256": "f" * 64,
    }
    lines = data_lines(_session("fr"), USE_CASE, data)
    assert lines["Secondes, apprentissage"] == "3\u202f107 lignes, du 1 janv. 2024, 00:53 au 10 mai 2024, 22:50"
    assert lines["examples.sha256"] == "f" * 24


def test_a_loss_within_its_limit_is_kept_and_one_that_may_be_chance_is_not_held_against_a_version() -> None:
    assert _check_result(_check(-1.0, 2.0, 0.0001), 10) == "kept"
    assert _check_result(_check(-3.0, 2.0, 0.3), 10) == "by_chance"
    assert _check_result(_check(-3.0, 2.0, 0.0001), 10) == "exceeded"


def test_numbers_have_their_unit_and_the_languages_habit() -> None:
    assert metric_value(_session("en"), USE_CASE, "seconds", "mae", 61.234) == "61.2 s"
    assert metric_value(_session("fr"), USE_CASE, "seconds", "mae", 61.234) == "61,2\u202fs"
    assert metric_value(_session("fr"), USE_CASE, "late", "brier", 0.1811) == "0,1811"
    assert metric_value(_session("en"), USE_CASE, "seconds", "coverage_90", 0.891) == "89.1%"


def test_targets_variants_and_metrics_have_titles_in_both_languages() -> None:
    assert target_title(_session("fr"), USE_CASE, "late") == "En retard"
    assert target_title(_session("en"), USE_CASE, "seconds_town_unknown") == "Seconds (town unknown)"
    assert metric_title(_session("en"), "coverage_90") == "outcomes inside the interval (90%)"
    assert metric_title(_session("fr"), "ece") == "erreur de calibration"
    assert metric_title(_session("fr"), "new_metric") == "new_metric"
