"""One search by request id tells what became of a call, and no line says what it was about."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from services.core.logs import configure_logging
from services.core.prediction_log.tables import PredictionRow
from services.core.settings import CHECKOUT
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

CALL = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "Nether Wallop"}
ID = "centre-north-4711"


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """What the service would write as its log."""
    root = logging.getLogger()
    before, level, was = root.handlers[:], root.level, structlog.get_config()
    said = io.StringIO()
    configure_logging("prediction", level="INFO", log_format="json")
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(said)
    try:
        yield said
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.configure(**was)
        structlog.contextvars.clear_contextvars()


@pytest.fixture
def service(sqlite_engine: Engine, tmp_path: Path) -> FastAPI:
    given = {
        "VIGIE_HOME": tmp_path / "home",
        "prediction_access": "open",
        "database_url": sqlite_engine.url.render_as_string(),
    }
    return create_app(PredictionSettings.model_validate(given), FolderRegistry, use_cases=[USE_CASE])


def _lines(said: io.StringIO, word: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.getvalue().splitlines() if word in line]


def _ask(service: FastAPI, path: str, body: Any, identity: str = ID) -> None:
    client = TestClient(service, headers={"X-Request-Id": identity})
    answer = client.post(f"/v1/toy/{path}", json=body)
    assert answer.is_success, answer.text


def test_a_call_is_found_by_its_request_id_from_answer_to_row(service: FastAPI, sqlite_engine: Engine) -> None:
    with logged() as said:
        service.state.calls.journal.open()
        _ask(service, "predict", CALL)
        service.state.calls.delivery.once()
        (line,) = _lines(said, ID)
    assert line["event"] == "calls stored"
    assert line["service"] == "prediction"
    (told,) = line["calls"]
    assert told.startswith(f"{ID} toy live baseline version baseline in ")
    with Session(sqlite_engine) as session:
        assert list(session.scalars(select(PredictionRow.request_id))) == [ID]


def test_no_line_says_what_a_call_was_about(service: FastAPI) -> None:
    with logged() as said:
        service.state.calls.journal.open()
        _ask(service, "predict", CALL)
        _ask(service, "outcomes", {"outcomes": [{"request_id": ID, "labels": {"seconds": 777}}]}, "report-1")
        service.state.calls.delivery.once()
        text = said.getvalue()
    assert _lines(said, "outcomes stored")
    assert "Wallop" not in text
    assert "parcel" not in text
    assert "777" not in text


def test_a_batch_is_one_entry_and_many_calls_are_a_few_lines(service: FastAPI) -> None:
    with logged() as said:
        service.state.calls.journal.open()
        _ask(service, "predict/batch", {"rows": [CALL] * 30}, "batch-1")
        for number in range(45):
            _ask(service, "predict", CALL, f"call-{number}")
        service.state.calls.delivery.once()
        lines = _lines(said, "calls stored")
    told = [entry for line in lines for entry in line["calls"]]
    assert sum(entry.startswith("batch-1 ") for entry in told) == 1
    assert len(told) == 46
    assert len(lines) == 3


def test_the_documents_say_how_to_search() -> None:
    page = (CHECKOUT / "docs" / "monitoring.md").read_text()
    assert "docker compose logs --no-log-prefix edge prediction | grep REQUEST_ID" in page
