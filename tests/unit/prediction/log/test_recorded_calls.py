"""What the service keeps of a call: as it was sent, as it was answered, and by whom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.core.auth.principal import Principal, Role
from services.core.contract.use_case import LabelRule, UseCase
from services.core.prediction_log.records import Record, decode_record
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

CALL: dict[str, Any] = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}
ANA = Principal("user", "ana", "Ana", Role.DISPATCHER, "north")


class Service:
    """The application without a network, a model or a database; whoever calls is ``caller``."""

    def __init__(self, home: Path, use_case: UseCase = USE_CASE, **settings: Any) -> None:
        chosen = PredictionSettings.model_validate({"VIGIE_HOME": home, "prediction_access": "open", **settings})
        registry = FolderRegistry()
        self.app: FastAPI = create_app(chosen, lambda: registry, use_cases=[use_case])
        self.caller = ANA
        self.app.state.authenticator = self
        self.calls = self.app.state.calls
        self.calls.journal.open()
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://vigie")
        self._runner = asyncio.Runner()

    def verify(self, _: str | None) -> Principal:
        return self.caller

    def post(self, path: str, body: Any, request_id: str = "", **options: Any) -> httpx.Response:
        headers = {"X-Request-Id": request_id} if request_id else {}
        return self._runner.run(self._client.post(f"/v1/toy/{path}", json=body, headers=headers, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.get(path, **options))

    def records(self) -> list[Record]:
        return [decode_record(line) for path in self.calls.journal.seal() for line in path.read_bytes().splitlines()]

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()
        self.calls.journal.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def start(use_case: UseCase = USE_CASE, **settings: Any) -> Service:
        made.append(Service(tmp_path / "home", use_case, **settings))
        return made[-1]

    yield start
    for service in made:
        service.close()


@pytest.fixture
def service(make: Callable[..., Service]) -> Service:
    return make()


def test_an_answered_call_is_in_the_journal_with_all_that_made_the_answer(service: Service) -> None:
    answer = service.post("predict", CALL, "r1").json()
    [record] = service.records()
    row = record.row
    assert (row["centre"], row["caller_kind"], row["caller_id"], row["request_id"]) == ("north", "user", "ana", "r1")
    assert row["request"] == CALL
    assert row["answer"] == answer["answer"]
    assert row["predictions"] == answer["predictions"]
    assert (row["model_version"], row["source"], row["simulated"]) == ("baseline", "baseline", False)
    assert (row["risk"], row["decisions"]) == (False, {"late": False})
    assert 0 < row["latency_us"] < 5_000_000


def test_a_refused_call_leaves_no_record(service: Service) -> None:
    assert service.post("predict", {**CALL, "distance": -1}).status_code == 422
    assert service.records() == []


def test_the_incident_id_is_taken_out_of_the_request_and_kept_beside_it(service: Service) -> None:
    assert service.post("predict", {**CALL, "incident_id": "I-7"}).status_code == 200
    [record] = service.records()
    assert (record.row["incident_id"], "incident_id" in record.row["request"]) == ("I-7", False)


@pytest.mark.parametrize("bad", ["", "x" * 65, 7, ["a"], "a\0b", "a\nb"])
def test_what_is_no_incident_id_is_refused_with_its_field(service: Service, bad: Any) -> None:
    refused = service.post("predict", {**CALL, "incident_id": bad})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "incident_id"


def test_a_request_written_over_several_lines_is_one_record(service: Service) -> None:
    body = json.dumps(CALL, indent=2).replace("\n", "\r\n").encode()
    transport = service._client
    done = service._runner.run(
        transport.post("/v1/toy/predict", content=body, headers={"content-type": "application/json"})
    )
    assert done.status_code == 200
    assert [record.row["request"] for record in service.records()] == [CALL]


def test_each_valid_row_of_a_batch_is_a_record(service: Service) -> None:
    rows = [CALL, {**CALL, "distance": -1}, {**CALL, "town": "west", "incident_id": "I-9"}]
    answer = service.post("predict/batch", {"rows": rows}, "b1").json()
    records = [record.row for record in service.records()]
    assert [(row["row_index"], row["incident_id"], row["request"]["town"]) for row in records] == [
        (0, None, "east"),
        (2, "I-9", "west"),
    ]
    for kept in ("answer", "predictions"):
        assert [row[kept] for row in records] == [item[kept] for item in answer["answers"]]
    assert {row["request_id"] for row in records} == {"b1"}
    assert len({row["id"] for row in records}) == 2


def test_the_same_call_again_has_the_same_id_and_another_body_another(service: Service) -> None:
    for body in (CALL, CALL, {**CALL, "town": "west"}):
        service.post("predict", body, "r1")
    first, second, third = (record.row["id"] for record in service.records())
    assert first == second != third


def test_a_full_disk_does_not_fail_the_answer(service: Service) -> None:
    """The answer says that it was not recorded, and no other does."""
    assert "X-Vigie-Recorded" not in service.post("predict", CALL).headers
    assert "X-Vigie-Recorded" not in service.post("predict/batch", {"rows": [CALL]}).headers
    service.calls.journal.close()
    for path, body in (("predict", CALL), ("predict/batch", {"rows": [CALL, CALL]})):
        answer = service.post(path, body)
        assert (answer.status_code, answer.headers["X-Vigie-Recorded"]) == (200, "no")
    assert "vigie_journal_dropped_total 3.0" in service.get("/metrics").text


def test_place_and_text_are_pseudonymised_before_they_reach_the_disk(
    make: Callable[..., Service], tmp_path: Path
) -> None:
    personal = replace(USE_CASE, serving=replace(USE_CASE.serving, pii_fields={"town": None, "distance": 0.5}))
    service = make(personal, calls_pseudonymise="toy", calls_pseudonym_key="k" * 32)
    service.post("predict", CALL, "r1")
    service.post("predict/batch", {"rows": [{**CALL, "town": " EAST "}, {**CALL, "town": "west"}]}, "r2")
    stored = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*.jsonl"))
    assert b"east" not in stored.lower()
    first, second, third = (record.row for record in service.records())
    assert first["request"]["town"] == second["request"]["town"] != third["request"]["town"]
    assert first["request"]["town"].startswith("pseudonym:")
    assert first["request"]["distance"] == 3.0
    assert first["pseudonymised"] is True


def test_another_key_makes_other_pseudonyms(make: Callable[..., Service]) -> None:
    personal = replace(USE_CASE, serving=replace(USE_CASE.serving, pii_fields={"town": None}))
    towns = set()
    for key in ("a" * 32, "b" * 32):
        service = make(personal, calls_pseudonymise="toy", calls_pseudonym_key=key)
        service.post("predict", CALL, "r1")
        towns |= {record.row["request"]["town"] for record in service.records()}
        service.calls.journal.close()
    assert len(towns) == 2


def test_pseudonyms_without_a_key_are_refused_at_the_start(make: Callable[..., Service]) -> None:
    with pytest.raises(ValueError, match="VIGIE_CALLS_PSEUDONYM_KEY"):
        make(calls_pseudonymise="toy")


# --- outcomes -----------------------------------------------------------------------------------


def test_one_outcome_is_kept_while_there_is_no_database(service: Service) -> None:
    report = {"incident_id": "I-7", "labels": {"seconds": 512.5, "late": False, "size": "large"}}
    answer = service.post("outcomes", report, "o1")
    assert answer.status_code == 202, answer.text
    [record] = service.records()
    assert record.kind == "outcome"
    assert (record.row["incident_id"], record.row["centre"], record.row["simulated"]) == ("I-7", "north", False)
    assert record.row["labels"] == report["labels"]
    assert answer.json()["outcomes"] == [{"index": 0, "id": record.row["id"]}]


def test_many_outcomes_are_kept_in_their_order(service: Service) -> None:
    reports = [
        {"request_id": "r1", "labels": {"late": True}},
        {"request_id": "b1", "row": 3, "labels": {"late": False}},
        {"prediction_id": "6f0a9c52-5f0e-5c0b-9f57-0d8f5b1c2a11", "labels": {"late": None}, "simulated": True},
    ]
    answer = service.post("outcomes", {"outcomes": reports})
    assert [item["index"] for item in answer.json()["outcomes"]] == [0, 1, 2]
    rows = [record.row for record in service.records()]
    assert [(row["request_id"], row["row_index"]) for row in rows] == [("r1", None), ("b1", 3), (None, None)]
    assert [row["simulated"] for row in rows] == [False, False, True]
    assert rows[2]["labels"] == {"late": None}
    assert rows[0]["received_at"] < rows[1]["received_at"] < rows[2]["received_at"]


def test_the_time_of_an_outcome_without_a_zone_is_local(service: Service) -> None:
    service.post("outcomes", {"request_id": "r1", "happened_at": "2024-07-01T12:00:00", "labels": {"late": True}})
    assert service.records()[0].row["happened_at"].isoformat() == "2024-07-01T11:00:00+00:00"


GOOD = {"request_id": "r1", "labels": {"late": True}}


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"request_id": "r1", "labels": {"size": "enormous"}}, "labels.size"),
        ({"request_id": "r1", "labels": {"seconds": -1}}, "labels.seconds"),
        ({"request_id": "r1", "labels": {"seconds": 300_000}}, "labels.seconds"),
        ({"request_id": "r1", "labels": {"seconds": 1e308}}, "labels.seconds"),
        ({"request_id": "r1", "labels": {"seconds": True}}, "labels.seconds"),
        ({"request_id": "r1", "labels": {"seconds": "12"}}, "labels.seconds"),
        ({"request_id": "r1", "labels": {"late": 1}}, "labels.late"),
        ({"request_id": "r1", "labels": {"late": True}, "simulated": "yes"}, "simulated"),
        ({"request_id": "r1", "row": 2**63, "labels": {"late": True}}, "row"),
        ({"request_id": "r1", "row": True, "labels": {"late": True}}, "row"),
        ({"request_id": "r1", "happened_at": "0001-01-01T00:00:00+14:00", "labels": {"late": True}}, "happened_at"),
        ({"request_id": "r1", "happened_at": "0001-01-01T00:00:00", "labels": {"late": True}}, "happened_at"),
        ({"request_id": "r1", "happened_at": "9999-12-31T23:59:59-14:00", "labels": {"late": True}}, "happened_at"),
        ({"request_id": "r1", "happened_at": 1_704_448_800, "labels": {"late": True}}, "happened_at"),
        ({"request_id": "r1", "happened_at": "45577.78", "labels": {"late": True}}, "happened_at"),
        ({"request_id": "r1", "happened_at": "2024-01-05", "labels": {"late": True}}, "happened_at"),
        ({"request_id": "r1", "labels": {"late": "perhaps"}}, "labels.late"),
        ({"request_id": "r1", "labels": {"colour": 1}}, "labels.colour"),
        ({"request_id": "r1", "labels": {}}, "labels"),
        ({"request_id": "r1"}, "labels"),
        ({"labels": {"late": True}}, ""),
        ({"request_id": "r1", "incident_id": "I-7", "labels": {"late": True}}, ""),
        ({"incident_id": "I-7", "row": 1, "labels": {"late": True}}, ""),
        ({"prediction_id": "seven", "labels": {"late": True}}, "prediction_id"),
        ({"request_id": "r1", "happened_at": "2999-01-01T00:00:00Z", "labels": {"late": True}}, "happened_at"),
        ({"request_id": "r1", "labels": {"late": True}, "more": 1}, "more"),
        ("nothing", ""),
    ],
)
def test_a_bad_outcome_is_named_with_its_index_and_nothing_is_kept(service: Service, bad: Any, field: str) -> None:
    answer = service.post("outcomes", {"outcomes": [GOOD, bad, GOOD]})
    assert answer.status_code == 422
    [found] = answer.json()["errors"]
    assert (found["index"], found["field"]) == (1, field)
    assert found["reason"]
    assert found["allowed"]
    assert service.records() == []


def test_a_value_beyond_the_bounds_is_refused_with_the_bound(service: Service) -> None:
    [found] = service.post("outcomes", {"request_id": "r1", "labels": {"seconds": 1e9}}).json()["errors"]
    assert "0 to 20000" in found["allowed"]


def test_labels_of_one_report_may_not_contradict_each_other(make: Callable[..., Service]) -> None:
    rule = LabelRule("seconds", lambda seconds, late: late == (seconds > 900), "true where seconds is above 900")
    modelling = USE_CASE.modelling
    targets = tuple(replace(each, follows=rule) if each.name == "late" else each for each in modelling.targets)
    service = make(use_case=replace(USE_CASE, modelling=replace(modelling, targets=targets)))
    for late, seconds in ((False, 901), (True, 300.0)):
        answer = service.post("outcomes", {"request_id": "r1", "labels": {"seconds": seconds, "late": late}})
        [found] = answer.json()["errors"]
        assert (answer.status_code, found["field"], found["type"]) == (422, "labels.late", "contradiction")
        assert "above 900" in found["allowed"]
    for labels in ({"seconds": 901.0, "late": True}, {"seconds": 901.0}, {"late": False}, {"seconds": 1, "late": None}):
        assert service.post("outcomes", {"request_id": "r1", "labels": labels}).status_code == 202


def test_blanks_around_an_id_mean_nothing_on_either_side(service: Service) -> None:
    assert service.post("predict", {**CALL, "incident_id": " I-7\u00a0"}, "r7").status_code == 200
    service.post("predict/batch", {"rows": [{**CALL, "incident_id": "I-7 "}]}, "r8")
    service.post("outcomes", {"incident_id": "\tI-7", "labels": {"late": True}})
    service.post("outcomes", {"request_id": " r7 ", "labels": {"late": True}})
    called, also, named, asked = [record.row for record in service.records()]
    assert {row["incident_id"] for row in (called, also, named)} == {"I-7"}
    assert asked["request_id"] == called["request_id"] == "r7"
    assert service.post("outcomes", {"incident_id": "   ", "labels": {"late": True}}).status_code == 422


@pytest.mark.parametrize("body", [[], {"outcomes": []}, {"outcomes": [GOOD], "x": 1}, {"outcomes": "r1"}, 7])
def test_a_body_that_is_no_list_of_outcomes_is_refused(service: Service, body: Any) -> None:
    assert service.post("outcomes", body).status_code == 422


def test_more_outcomes_than_allowed_are_refused(make: Callable[..., Service]) -> None:
    service = make(prediction_outcome_rows=2)
    assert service.post("outcomes", {"outcomes": [GOOD] * 3}).status_code == 422
    assert service.post("outcomes", {"outcomes": [GOOD] * 2}).status_code == 202


def test_an_outcome_that_the_disk_does_not_take_is_not_accepted(service: Service) -> None:
    service.calls.journal.close()
    answer = service.post("outcomes", GOOD)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_an_outcome_sent_again_under_the_same_request_id_is_the_same(service: Service) -> None:
    ids = [service.post("outcomes", GOOD, "o1").json()["outcomes"][0]["id"] for _ in range(2)]
    assert ids[0] == ids[1]
    assert service.post("outcomes", GOOD, "o2").json()["outcomes"][0]["id"] != ids[0]
