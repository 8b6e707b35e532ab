"""A centre that decides otherwise than an answer proposed says why, and the reason stands with the call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.core.prediction_log.records import decode_record
from services.core.prediction_log.store import store_records
from tests.unit.core.prediction_log.conftest import call_line
from tests.unit.prediction.log.test_recorded_calls import Service


@pytest.fixture
def service(engine: Engine, tmp_path: Path) -> Iterator[Service]:
    assert store_records(engine, [decode_record(call_line("r1", centre="north"))]) == []
    made = Service(tmp_path / "home")
    yield made
    made.close()


def test_an_override_is_kept_with_its_reason_and_the_latest_one_holds(service: Service, engine: Engine) -> None:
    said = [
        {"request_id": "r1", "override": "  A second pump: gas bottles. "},
        {"request_id": "r1", "labels": {"late": True}},
    ]
    for number, body in enumerate([*said, {"request_id": "r1", "override": "Two more pumps."}]):
        assert service.post("outcomes", body, f"o{number}").status_code == 202
    assert store_records(engine, service.records()) == []
    [found] = service.get("/v1/toy/predictions").json()["predictions"]
    assert found["override"] == "Two more pumps."
    exported = service.get("/v1/toy/predictions", params={"format": "csv"}).text.splitlines()
    assert exported[0].endswith(",override")
    assert any(line.endswith(",Two more pumps.") for line in exported[1:])
    assert found["outcome"] == {"late": True}


def test_a_call_that_nobody_overrode_says_so(service: Service) -> None:
    [found] = service.get("/v1/toy/predictions").json()["predictions"]
    assert found["override"] is None


def test_a_report_needs_a_label_or_an_override(service: Service) -> None:
    assert service.post("outcomes", {"request_id": "r1", "labels": {}}).status_code == 422
    assert service.post("outcomes", {"request_id": "r1"}).status_code == 422
    assert service.post("outcomes", {"request_id": "r1", "override": " "}).status_code == 422
