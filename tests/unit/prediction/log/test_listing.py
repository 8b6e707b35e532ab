"""Lists of predictions: filtered, paged, exported, and never of a centre that is not the caller's."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from services.core.auth.principal import Principal, Role
from services.core.prediction_log.records import decode_record
from services.core.prediction_log.store import store_records
from services.prediction.api import list_routes
from services.prediction.api.list_routes import PredictionPage
from tests.unit.core.prediction_log.conftest import MADE_AT, call_line, report_line
from tests.unit.prediction.log.test_recorded_calls import CALL, Service

LINES = [
    call_line("r1", at=MADE_AT + 1, incident="I-7", late=True),
    call_line("r2", at=MADE_AT + 2, caller="bob", version="4", source="cached"),
    call_line("r3", at=MADE_AT + 3, incident="I-7"),
    call_line("r4", at=MADE_AT + 4, late=True),
    call_line("s1", at=MADE_AT + 5, centre="south"),
    call_line("e1", at=MADE_AT + 6, centre="east"),
    report_line({"late": True, "size": "small"}, request_id="r1", at=MADE_AT + 10),
    report_line({"late": False}, request_id="r1", at=MADE_AT + 20),
]
VIEWER = Principal("user", "vera", "Vera", Role.VIEWER, "north")


def forged(moment: str) -> str:
    """A cursor that no list gave."""
    return base64.urlsafe_b64encode(f"{moment} 6f0a9c52-5f0e-5c0b-9f57-0d8f5b1c2a11".encode()).decode()


@pytest.fixture
def service(engine: Engine, tmp_path: Path) -> Iterator[Service]:
    assert store_records(engine, [decode_record(line) for line in LINES]) == []
    made = Service(tmp_path / "home")
    made.caller = VIEWER
    yield made
    made.close()


def ids(service: Service, **asked: Any) -> list[str]:
    answer = service.get("/v1/toy/predictions", params=asked)
    assert answer.status_code == 200, answer.text
    return [item["request_id"] for item in answer.json()["predictions"]]


def test_a_list_is_newest_first_and_of_the_own_centre(service: Service) -> None:
    assert ids(service) == ["r4", "r3", "r2", "r1"]


def test_an_entry_has_request_answer_caller_and_the_latest_outcome(service: Service) -> None:
    body = service.get("/v1/toy/predictions", params={"request_id": "r1"}).json()
    [found] = body["predictions"]
    assert (found["caller_id"], found["model_version"], found["risk"]) == ("ana", "3", True)
    assert (found["request"]["town"], found["answer"]["size"]) == ("east", "small")
    assert found["outcome"] == {"late": False, "size": "small"}
    assert found["received_at"] == "2026-01-01T00:00:01Z"


def test_an_entry_has_the_typed_predictions_and_one_of_release_0_1_0_has_none(service: Service, engine: Engine) -> None:
    service.caller = replace(VIEWER, role=Role.DISPATCHER)
    assert service.post("predict", CALL, "new").status_code == 200
    store_records(engine, service.records())
    listed = service.get("/v1/toy/predictions").json()
    items = PredictionPage.model_validate(listed).model_dump()["predictions"]
    found = {item["request_id"]: item["predictions"] for item in items}
    assert found["r1"] is None
    assert found["new"]["seconds"]["value"] == 600.0


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"caller": "bob"}, ["r2"]),
        ({"from": "2026-01-01T00:00:03Z"}, ["r4", "r3"]),
        ({"to": "2026-01-01T00:00:03Z"}, ["r2", "r1"]),
        ({"from": "2026-01-01T00:00:02", "to": "2026-01-01T00:00:04"}, ["r3", "r2"]),
        ({"risk": "true"}, ["r4", "r1"]),
        ({"risk": "false"}, ["r3", "r2"]),
        ({"incident_id": "I-7"}, ["r3", "r1"]),
        ({"incident_id": " I-7 "}, ["r3", "r1"]),
        ({"request_id": "r4"}, ["r4"]),
        ({"model_version": "4"}, ["r2"]),
        ({"source": "cached"}, ["r2"]),
        ({"has_outcome": "true"}, ["r1"]),
        ({"has_outcome": "false"}, ["r4", "r3", "r2"]),
        ({"centre": "north", "risk": "true"}, ["r4", "r1"]),
    ],
)
def test_filters(service: Service, asked: dict[str, str], expected: list[str]) -> None:
    assert ids(service, **asked) == expected


def counts(service: Service, **asked: Any) -> dict[str, Any]:
    answer = service.get("/v1/toy/predictions/counts", params=asked)
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if name != "use_case"}


def test_calls_are_counted_once_however_often_they_were_asked(service: Service, engine: Engine) -> None:
    """r1 and r3 are one incident, about which something was reported."""
    found = {"calls": 3, "at_risk": 1, "without_outcome": 2, "overridden": 0, "more": False}
    assert counts(service) == found
    late = report_line({}, request_id="r2", at=MADE_AT + 30, override="A second pump.")
    store_records(engine, [decode_record(late)])
    assert counts(service) == found | {"overridden": 1}
    assert counts(service, caller="bob")["calls"] == 1
    assert counts(service, **{"from": "2026-01-01T00:00:04Z"}) == found | {"calls": 1, "without_outcome": 1}
    assert service.get("/v1/toy/predictions/counts", params={"centre": "south"}).status_code == 403


def test_what_is_too_much_to_count_is_said(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_routes, "MOST_COUNTED", 2)
    assert counts(service) == {"calls": 2, "at_risk": 1, "without_outcome": 2, "overridden": 0, "more": True}


@pytest.mark.parametrize(
    ("centres", "asked", "expected"),
    [
        (frozenset(), {}, ["r4", "r3", "r2", "r1"]),
        (frozenset({"south"}), {}, ["s1", "r4", "r3", "r2", "r1"]),
        (frozenset({"south"}), {"centre": "south"}, ["s1"]),
        (None, {}, ["e1", "s1", "r4", "r3", "r2", "r1"]),
        (None, {"centre": "east"}, ["e1"]),
    ],
)
def test_callers_see_the_centres_that_were_given_to_them(
    service: Service, centres: frozenset[str] | None, asked: dict[str, str], expected: list[str]
) -> None:
    service.caller = replace(VIEWER, role=Role.OPERATOR, centres=centres)
    assert ids(service, **asked) == expected


@pytest.mark.parametrize("format", ["json", "csv"])
def test_another_centres_calls_are_refused(service: Service, format: str) -> None:
    answer = service.get("/v1/toy/predictions", params={"centre": "south", "format": format})
    assert answer.status_code == 403


def test_pages_follow_each_other_without_gap_or_repetition_while_calls_come_in(
    service: Service, engine: Engine
) -> None:
    first = service.get("/v1/toy/predictions", params={"limit": 2}).json()
    store_records(engine, [decode_record(call_line("newer", at=MADE_AT + 60))])
    second = service.get("/v1/toy/predictions", params={"limit": 2, "cursor": first["next"]}).json()
    found = [item["request_id"] for page in (first, second) for item in page["predictions"]]
    assert (found, second["next"]) == (["r4", "r3", "r2", "r1"], None)


def test_calls_of_one_moment_are_paged_too(service: Service, engine: Engine) -> None:
    store_records(engine, [decode_record(call_line(f"same {n}", at=MADE_AT + 30)) for n in range(5)])
    seen, cursor = [], None
    while True:
        asked = {"limit": 2, "from": "2026-01-01T00:00:30Z"} | ({"cursor": cursor} if cursor else {})
        body = service.get("/v1/toy/predictions", params=asked).json()
        seen += [item["request_id"] for item in body["predictions"]]
        cursor = body["next"]
        if cursor is None:
            break
    assert sorted(seen) == [f"same {n}" for n in range(5)]


@pytest.mark.parametrize(
    "asked",
    [
        {"cursor": "nonsense"},
        {"cursor": forged("0001-01-01T00:00:00+14:00")},
        {"cursor": forged("9999-12-31T23:59:59-14:00")},
        {"cursor": forged("2026-01-01T00:00:00")},
        {"limit": "0"},
        {"from": "yesterday"},
        {"from": "1761355800"},
        {"to": "45577.78"},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"to": "9999-12-31T23:59:59-14:00"},
        {"from": "0001-01-01T00:00:00"},
        {"colour": "red"},
        {"risk": "maybe"},
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_field(service: Service, asked: dict[str, str]) -> None:
    answer = service.get("/v1/toy/predictions", params=asked)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(asked))


def test_while_the_database_is_away_lists_say_so_and_calls_are_answered(service: Service, database: Path) -> None:
    database.unlink()
    answer = service.get("/v1/toy/predictions")
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (503, "database_away")
    assert service.get("/v1/toy/predictions", params={"format": "csv"}).status_code == 503


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize("how", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}])
def test_a_list_is_exported_as_csv(service: Service, how: dict[str, Any]) -> None:
    rows = rows_of(service.get("/v1/toy/predictions", **how))
    assert [row["request_id"] for row in rows] == ["r4", "r3", "r2", "r1"]
    last = rows[-1]
    assert (last["request.distance"], last["answer.seconds.median"], last["answer.late"]) == ("2.0", "300.0", "true")
    assert (last["outcome.late"], last["outcome.size"], last["outcome.seconds"]) == ("false", "small", "")
    assert last["received_at"] == "2026-01-01T00:00:01+00:00"


def test_an_export_leaves_an_audit_entry_before_its_first_row(engine: Engine, tmp_path: Path) -> None:
    store_records(engine, [decode_record(line) for line in LINES])
    home = tmp_path / "home"
    service = Service(home, gateway_url="http://127.0.0.1:1", service_token="t" * 40)
    service.caller = VIEWER
    try:
        service.get("/v1/toy/predictions", params={"limit": "1"})
        service.get("/v1/toy/predictions", params={"format": "csv", "kind": "live", "incident_id": "tel-0612345678"})
    finally:
        service.close()
    (file,) = (home / "audit" / "prediction").glob("*.json")
    entry = json.loads(file.read_text())
    assert (entry["action"], entry["use_case"], entry["actor_id"]) == ("calls.exported", "toy", VIEWER.id)
    assert entry["details"] == {"kind": "live"}, "ids may be personal"


def test_an_export_has_every_page(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_routes, "CSV_CHUNK_ROWS", 2)
    rows = rows_of(service.get("/v1/toy/predictions", params={"format": "csv"}))
    assert [row["request_id"] for row in rows] == ["r4", "r3", "r2", "r1"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_is_a_formula(service: Service, engine: Engine, text: str) -> None:
    store_records(engine, [decode_record(call_line("bad", at=MADE_AT + 90, town=text))])
    [row] = rows_of(service.get("/v1/toy/predictions", params={"format": "csv", "request_id": "bad"}))
    assert row["request.town"] == "'" + text


@pytest.mark.parametrize("separator", [";", ",", "\t", "|", "\n", "\r\n"])
@pytest.mark.parametrize("text", ["x;=1+1;", "x\n=1+1", 'x;"=1+1"', "x; @SUM(A1)", "x\t-1", "\t=1", "\r=1", "x,+1"])
def test_no_cell_is_a_formula_whichever_separator_splits_it(
    service: Service, engine: Engine, text: str, separator: str
) -> None:
    store_records(engine, [decode_record(call_line("bad", at=MADE_AT + 90, town=text))])
    answer = service.get("/v1/toy/predictions", params={"format": "csv", "request_id": "bad"})
    cells = [cell.strip(' "\r\n\t') for line in answer.text.splitlines() for cell in line.split(separator)]
    assert [cell for cell in cells if cell.startswith(("=", "+", "@"))] == []
    assert "'" in rows_of(answer)[0]["request.town"]


def test_reading_needs_the_viewers_role_and_the_use_case(service: Service) -> None:
    service.caller = replace(VIEWER, use_cases=frozenset({"other"}))
    assert service.get("/v1/toy/predictions").status_code == 403
