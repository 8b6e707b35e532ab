"""When a new champion that does worse than the one before it on the same calls has to go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from services.core.contract.use_case import RegressionPrediction
from services.core.messages import render
from services.core.model_registry.version import RegisteredVersion
from services.core.params import Monitoring
from services.drift.models import ModelVersions
from services.drift.performance import comparison
from services.drift.performance.comparison import LabelledPredictions
from services.drift.reasons import Reason
from services.drift.verdict import MonitoringResult
from tests.toy.declaration import USE_CASE

PARAMS = Monitoring()
WORSE = {"target": "seconds", "metric": "mae", "count": PARAMS.minimum_outcomes, "new": 70.0, "old": 60.0, "high": -4.0}
"""Ten seconds worse on the average, and four at least."""
OTHER = WORSE | {"target": "late", "metric": "brier"}


def version(number: int, **tags: str) -> RegisteredVersion:
    return RegisteredVersion("toy", number, "hash", "2026-03-01", True, "", "", tags=tags)


class Before:
    """The models, as far as it matters who served before."""

    def __init__(self, old: RegisteredVersion) -> None:
        self._old = old

    def before(self, _: RegisteredVersion) -> RegisteredVersion:
        return self._old


def judged(
    monkeypatch: pytest.MonkeyPatch, *duel: dict[str, Any], days_ago: float = 3.0, old_tags: Any = None, **tags: str
) -> Reason | None:
    monkeypatch.setattr(comparison, "compare_on_traffic", lambda *_, **__: list(duel))
    promoted = datetime.now(UTC) - timedelta(days=days_ago)
    champion = version(2, promoted=promoted.isoformat(), follows="1", **tags)
    models = cast("ModelVersions", Before(version(1, **(old_tags or {}))))
    window = pd.DataFrame({"call_received_at": pd.to_datetime([datetime.now(UTC)]), "call_version": ["2"]})
    return comparison.regressed_from_previous(
        MonitoringResult(), USE_CASE, window, models, champion=champion, params=PARAMS
    )


@pytest.mark.parametrize("worse", [0.0, 12.0])
def test_one_absurd_outcome_decides_about_no_version(worse: float) -> None:
    draw = np.random.default_rng(3)
    truth, day = draw.gamma(9, 40, 400), np.arange(400) // 40
    answer = truth + draw.normal(0, 50, 400)
    label = truth.copy()
    label[7] = 20_000.0

    def said(value: Any) -> LabelledPredictions:
        target = USE_CASE.modelling.targets[0]
        return LabelledPredictions(target, label, RegressionPrediction(value, value, value), day)

    shifted = answer + np.where(answer > truth, worse, -worse)
    found = comparison.paired_comparison(said(shifted), said(answer), 1)
    assert found["old"] == pytest.approx(np.abs(answer - truth).mean(), rel=0.03)
    assert found["new"] - found["old"] == pytest.approx(worse, abs=0.5)
    assert found["new"] > found["old"] * (1 + PARAMS.rollback_limit) if worse else found["gain"] == 0


def test_one_that_is_surely_worse_by_more_than_the_limit_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, WORSE)
    assert found is not None
    assert "70" in render(found.message, "en")
    assert "version 1" in render(found.message, "fr")


@pytest.mark.parametrize(
    "changed",
    [{"high": 0.5}, {"count": PARAMS.minimum_outcomes - 1}, {"new": 62.0}],
    ids=["chance may be it", "few calls", "within the limit"],
)
def test_one_of_which_that_is_not_sure_stays(monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]) -> None:
    assert judged(monkeypatch, WORSE | changed) is None


def test_a_target_that_does_not_decide_has_to_be_three_times_as_much_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = WORSE | {"new": 50.0, "high": 12.0}
    assert judged(monkeypatch, fine, OTHER | {"new": 68.0}) is None
    assert judged(monkeypatch, fine, OTHER | {"new": 70.0}) is not None


def test_one_that_has_served_longer_than_the_watch_is_left_to_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, WORSE, days_ago=PARAMS.watch_days + 1) is None


@pytest.mark.parametrize("whose", ["its own", "of the one before"])
def test_nothing_is_rolled_back_twice(monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    gone = {"rolled_back": "2026-03-10"}
    found = judged(monkeypatch, WORSE, **gone) if whose == "its own" else judged(monkeypatch, WORSE, old_tags=gone)
    assert found is None
