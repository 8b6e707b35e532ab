"""Reports and filters at the edges of types: an answer or a clear refusal, and what was accepted can be stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from services.core.prediction_log.store import store_records
from tests.unit.prediction.log.test_listing import forged, service
from tests.unit.prediction.log.test_recorded_calls import ANA

__all__ = ["service"]

FUZZ = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MOMENTS = [
    f"{day}T{clock}{zone}"
    for day in ("0001-01-01", "1989-12-31", "1990-01-01", "2024-10-27", "2099-12-31", "2100-01-01", "9999-12-31")
    for clock in ("00:00:00", "23:59:59.999999")
    for zone in ("", "Z", "+14:00", "-14:00", "+23:59", "-23:59")
]
NUMBERS = [0, -1, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 10**23, 1e308, -1e308, 5e-324, True, False, None]
TEXTS = ["", " ", "\0", "12", "2024-02-30T00:00:00", "2024-01-05", "45577.78", "1761355800", "\ud800", "x" * 65]
edges = st.sampled_from([*NUMBERS, *TEXTS])
anything = edges | st.sampled_from(MOMENTS) | st.text(max_size=10)
labels = st.fixed_dictionaries({}, optional={name: anything | st.floats() for name in ("seconds", "late", "size", "x")})
sound = st.sampled_from([{"late": True}, {"seconds": 20_000, "size": "small"}, {"late": None}])
reports = st.fixed_dictionaries(
    {"labels": labels | sound},
    optional={
        "incident_id": anything | st.just(" I-7 "),
        "request_id": anything | st.just("r1"),
        "row": anything,
        "happened_at": anything,
        "override": anything | st.just("smoke was seen"),
        "simulated": anything,
    },
)


@FUZZ
@given(report=reports)
def test_a_report_is_refused_or_can_be_stored(service: Any, engine: Engine, report: dict[str, Any]) -> None:
    service.caller = ANA
    try:
        answer = service.post("outcomes", report)
    except ValueError:  # no client can send half a surrogate pair, or NaN
        return
    assert answer.status_code in {202, 422}, answer.text
    if answer.status_code == 202:
        assert store_records(engine, service.records()[-1:]) == []


@FUZZ
@given(
    asked=st.fixed_dictionaries(
        {},
        optional={
            "from": anything,
            "to": anything,
            "cursor": st.sampled_from(MOMENTS).map(forged) | anything,
            "limit": anything,
            "incident_id": anything,
            "has_outcome": st.booleans(),
        },
    )
)
@pytest.mark.parametrize("format", ["json", "csv"])
def test_a_list_is_given_or_refused(service: Any, format: str, asked: dict[str, Any]) -> None:
    try:
        answer = service.get("/v1/toy/predictions", params={"format": format, **asked})
    except ValueError:
        return
    assert answer.status_code in {200, 422}, answer.text
