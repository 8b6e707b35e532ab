"""Distances between samples: what has not changed is not far, what has is, and many columns do not add up to one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from services.core.params import Monitoring
from services.drift.column_drift import Column, compare_columns, drifted_share, seasonal_weights
from services.drift.statistics import (
    categorical_distance,
    effective_sample_size,
    holm,
    numeric_distance,
    share_difference_p_value,
)

PARAMS = Monitoring()
DRAW = np.random.default_rng(5)


def hours(count: int, start: str = "2026-01-01", days: int = 180, *, peak: float | None = None) -> pd.Series:
    """Moments over so many days; with ``peak`` around that hour of the day."""
    draw = np.random.default_rng(count)
    day = draw.integers(0, days, count)
    hour = draw.uniform(0, 24, count) if peak is None else draw.normal(peak, 2, count) % 24
    stamps = pd.Timestamp(start, tz="UTC") + pd.to_timedelta(np.sort(day * 24 + hour), unit="h")
    return pd.Series(stamps).astype("datetime64[us, UTC]")


def column(name: str, reference: object, current: object, kind: str = "number", importance: float = 0.0) -> Column:
    return Column(name, kind, np.asarray(reference), np.asarray(current), importance)  # type: ignore[arg-type]


def words(values: list[str]) -> object:
    return np.array(values, dtype=object)


def test_equal_samples_are_near_and_shifted_ones_far() -> None:
    one, other = DRAW.normal(0, 2, 3_000), DRAW.normal(0, 2, 800)
    assert numeric_distance(one, other, np.ones(3_000)).value < 0.1
    far = numeric_distance(one, other + 2, np.ones(3_000))
    assert far.value == pytest.approx(1.0, abs=0.1)
    assert far.p_value < 1e-12


def test_words_that_come_more_often_are_seen() -> None:
    usual, now = (
        DRAW.choice(["a", "b", "c"], 2_000).astype(object),
        DRAW.choice(["a", "a", "a", "c"], 500).astype(object),
    )
    assert categorical_distance(usual, usual[:700], np.ones(2_000)).value < 0.06
    assert categorical_distance(usual, now, np.ones(2_000)).value > 0.3


def test_holm_keeps_the_chance_of_one_false_finding() -> None:
    assert holm(np.array([0.001, 0.4, 0.02])).tolist() == pytest.approx([0.003, 0.4, 0.04])
    assert holm(np.array([0.9, 0.8])).max() <= 1


def test_weights_count_as_many_rows_as_they_are_worth() -> None:
    assert effective_sample_size(np.ones(50)) == pytest.approx(50)
    assert effective_sample_size(np.array([1.0, *[0.0] * 49])) == pytest.approx(1)
    assert share_difference_p_value(0.5, 0.5, 100, 100) == pytest.approx(1)


def test_the_hour_is_taken_into_account_and_the_month_where_it_is_known() -> None:
    reference, evening = hours(6_000, days=360), hours(500, start="2026-03-02", days=14, peak=19)
    found, season = seasonal_weights(reference, evening, "UTC")
    assert season, "March is known"
    month, hour = reference.dt.month.to_numpy(), reference.dt.hour.to_numpy()
    assert set(month[found > 0]) == {3}
    assert np.average(hour, weights=found) == pytest.approx(evening.dt.hour.mean(), abs=1)
    found, season = seasonal_weights(hours(6_000, days=90), hours(500, start="2026-09-01", days=14, peak=19), "UTC")
    assert not season, "no September in the reference: hours alone are matched"
    assert np.average(hours(6_000, days=90).dt.hour, weights=found) == pytest.approx(evening.dt.hour.mean(), abs=1)


def test_calls_of_the_night_shift_are_no_drift_of_what_follows_the_hour() -> None:
    reference, night = hours(6_000, days=360), hours(600, start="2026-03-02", days=14, peak=3)
    by_hour = [
        np.sin(times.dt.hour.to_numpy() / 24 * 6.28) + DRAW.normal(0, 0.2, len(times)) for times in (reference, night)
    ]
    (found,), _ = compare_columns([column("x", *by_hour)], reference, night, PARAMS, "UTC")
    assert not found.drifted
    (blind,), _ = compare_columns([column("x", *by_hour)], None, night, PARAMS, "UTC")
    assert blind.drifted, "without the hour it would have been one"


def test_what_changes_from_month_to_month_anyway_is_no_drift() -> None:
    reference, later = hours(6_000, days=180), hours(500, start="2026-08-01", days=14)
    wave = 2 * np.sin(reference.dt.dayofyear.to_numpy() / 30) + DRAW.normal(0, 1, 6_000)
    (calm,), _ = compare_columns([column("x", wave, DRAW.normal(1.2, 1, 500))], reference, later, PARAMS, "UTC")
    assert not calm.drifted
    steady = DRAW.normal(0, 1.7, 6_000)
    (moved,), _ = compare_columns([column("x", steady, DRAW.normal(1.2, 1.7, 500))], reference, later, PARAMS, "UTC")
    assert moved.drifted


def test_missing_unseen_empty_and_constant_columns_are_handled() -> None:
    reference, now = hours(2_000), hours(400, start="2026-03-01", days=14)
    half = np.where(np.arange(400) % 2 == 0, np.nan, DRAW.normal(0, 1, 400))
    found, _ = compare_columns(
        [
            column("gone", DRAW.normal(0, 1, 2_000), half),
            column(
                "new word", words(DRAW.choice(["a", "b"], 2_000).tolist()), words(["a", "b", "a", "new"] * 100), "words"
            ),
            column("nothing", np.full(2_000, np.nan), np.full(400, np.nan)),
            column("constant", np.ones(2_000), np.ones(400)),
            column("constant moved", np.ones(2_000), np.full(400, 3.0)),
            column("blank words", words([""] * 2_000), words([""] * 400), "words"),
        ],
        reference,
        now,
        PARAMS,
        "UTC",
    )
    by_name = {drift.name: drift for drift in found}
    assert set(by_name) == {"gone", "new word", "constant", "constant moved"}
    assert {name: drift.code for name, drift in by_name.items() if drift.drifted} == {
        "gone": "missing",
        "new word": "unseen",
        "constant moved": "shifted",
    }
    assert by_name["gone"].missing_current == pytest.approx(0.5)


def test_words_that_any_further_sample_would_bring_are_not_new() -> None:
    """Streets: most come up once, so a tenth of any fortnight's calls name one that the reference happens to lack."""
    draw = np.random.default_rng(8)
    streets = [f"street {min(number, 50_000)}" for number in draw.zipf(1.5, 2_400)]
    usual, now = words(streets[:2_000]), words(streets[2_000:])
    reference, current = hours(2_000), hours(400, start="2026-03-01", days=14)
    (drift,), _ = compare_columns([column("street", usual, now, "words")], reference, current, PARAMS, "UTC")
    lacking = float(np.mean([word not in set(streets[:2_000]) for word in streets[2_000:]]))
    assert lacking > PARAMS.unseen_share
    assert not drift.drifted


def test_the_share_is_that_of_the_importance_and_what_callers_leave_out_does_not_count() -> None:
    reference, now = hours(2_000), hours(400, start="2026-03-01", days=14)
    found, _ = compare_columns(
        [
            column("main", DRAW.normal(0, 1, 2_000), DRAW.normal(2, 1, 400), importance=0.6),
            column("side", DRAW.normal(0, 1, 2_000), DRAW.normal(0, 1, 400), importance=0.3),
            column("left out", DRAW.normal(0, 1, 2_000), np.full(400, np.nan), importance=0.1),
        ],
        reference,
        now,
        PARAMS,
        "UTC",
    )
    assert drifted_share(found) == pytest.approx(0.6)


def test_a_hundred_unchanged_columns_have_no_drift() -> None:
    reference, now = hours(2_000), hours(300, start="2026-03-01", days=14)
    columns = [column(f"c{number}", DRAW.normal(0, 1, 2_000), DRAW.normal(0, 1, 300)) for number in range(100)]
    found, _ = compare_columns(columns, reference, now, PARAMS, "UTC")
    assert not any(drift.drifted for drift in found)
