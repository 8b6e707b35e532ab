"""The answer's rules and the baseline that answers without any model."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.contract.use_case import (
    BinaryPrediction,
    MultiClassPrediction,
    RegressionPrediction,
    TargetPrediction,
)
from services.use_cases.fire_response.answer import PUMPS, FireAnswer, build_response, fallback_prediction
from services.use_cases.fire_response.request import FireCall, IncidentGroup

FACTS = {
    "station": "Soho",
    "station_assumed": False,
    "distance_m": 812.4,
    "risk_reason": "",
    "risk_reason_fr": "",
    "interval_group": 1,
}
VALUES: dict[str, TargetPrediction] = {
    "attendance_seconds": RegressionPrediction(301.234, 150.0, 512.06),
    "over_360s": BinaryPrediction(0.41234567, 0.33),
    "pumps": MultiClassPrediction([0.1, 0.6, 0.2, 0.05, 0.05], PUMPS),
}


def test_the_answer_is_complete_and_valid() -> None:
    answer = FireAnswer.model_validate(build_response(VALUES, FACTS, {}))
    assert answer.attendance_seconds.median == 301.2
    assert answer.over_360s.decision is True
    assert answer.pumps.most_likely == "2"
    assert answer.station.name == "Soho"
    assert answer.station.assumed is False
    assert answer.objective_seconds == 360
    assert answer.risk_underestimated.flag is False


def test_a_finding_is_passed_on_with_its_reason() -> None:
    said = {
        "risk_reason": "Pumps from Soho took longer.",
        "risk_reason_fr": "Les engins de Soho ont mis plus de temps.",
    }
    answer = build_response(VALUES, FACTS | said, {})
    assert answer["risk_underestimated"] == {
        "flag": True,
        "reason": "Pumps from Soho took longer.",
        "reason_fr": "Les engins de Soho ont mis plus de temps.",
    }


def test_an_assumed_station_is_said() -> None:
    assert build_response(VALUES, FACTS | {"station_assumed": True}, {})["station"]["assumed"] is True


calls = st.fixed_dictionaries(
    {
        "call_time": st.just("2020-01-01T00:00:00"),
        "easting": st.floats(490_000, 575_000),
        "northing": st.floats(145_000, 230_000),
        "incident_group": st.one_of(st.none(), st.sampled_from(get_args(IncidentGroup))),
        "deployed_from_station": st.one_of(st.none(), st.text(max_size=60)),
        "pump_order": st.integers(1, 20),
    }
)


@given(sent=calls)
def test_the_baseline_answers_every_valid_call(sent: dict[str, Any]) -> None:
    request = FireCall.model_validate(sent).model_dump()
    values, facts = fallback_prediction(request)
    answer = FireAnswer.model_validate(build_response(values, facts, request))
    assert answer.attendance_seconds.lower < answer.attendance_seconds.median < answer.attendance_seconds.upper
    assert sum(answer.pumps.probabilities.values()) == pytest.approx(1)


def test_the_second_pump_is_expected_later_than_the_first() -> None:
    request = FireCall.model_validate({"call_time": "2020-01-01T00:00:00", "easting": 530_000, "northing": 180_000})
    first, _ = fallback_prediction(request.model_dump())
    second, _ = fallback_prediction(request.model_copy(update={"pump_order": 2}).model_dump())
    assert second["attendance_seconds"].value > first["attendance_seconds"].value  # type: ignore[union-attr]
