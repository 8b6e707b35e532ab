"""Calls are removed when their time is over, or when somebody has the right to it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from typer.testing import CliRunner

from services.cli.commands import data
from services.core import use_case_registry
from services.core.errors import UnavailableError
from services.core.prediction_log import settings as settings_module
from services.core.prediction_log.records import decode_record
from services.core.prediction_log.retention import ErasedCount, enforce_retention, erase_incident
from services.core.prediction_log.settings import PredictionLogSettings
from services.core.prediction_log.store import store_records
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from tests.unit.core.prediction_log.conftest import call_line, report_line

NAME = use_case_registry.names()[0]
DAY = 86_400.0


def put(engine: Engine, *lines: bytes) -> None:
    assert store_records(engine, [decode_record(line) for line in lines]) == []


def left(engine: Engine) -> tuple[list[str], int]:
    with engine.connect() as connection:
        ids = sorted(connection.execute(select(PredictionRow.request_id)).scalars())
        return ids, len(connection.execute(select(OutcomeRow.id)).all())


def chosen(tmp_path: Path, **given: Any) -> PredictionLogSettings:
    return PredictionLogSettings.model_validate({"VIGIE_HOME": tmp_path / "home", **given})


def test_what_is_older_than_the_use_case_allows_goes(engine: Engine, tmp_path: Path) -> None:
    now = time.time()
    for days in (1, 20, 40):
        put(engine, call_line(f"{days} days", use_case=NAME, at=now - days * DAY))
        put(engine, report_line({"late": True}, use_case=NAME, request_id=f"{days}", at=now - days * DAY))
    put(engine, call_line("another use case", use_case="other", at=now - 40 * DAY))
    keep = chosen(tmp_path, calls_retention_days=f'{{"default": 5, "{NAME}": 30}}')
    assert enforce_retention(keep, dry_run=True)[NAME] == ErasedCount(1, 1)
    assert len(left(engine)[0]) == 4
    assert enforce_retention(keep)[NAME] == ErasedCount(1, 1)
    assert left(engine) == (["1 days", "20 days", "another use case"], 2)


def test_zero_days_keep_for_ever(engine: Engine, tmp_path: Path) -> None:
    put(engine, call_line("old", use_case=NAME, at=1.0))
    assert enforce_retention(chosen(tmp_path, calls_retention_days='{"default": 0}')) == {}
    assert left(engine)[0] == ["old"]


def test_an_incident_goes_with_all_that_was_reported_of_it(engine: Engine, tmp_path: Path) -> None:
    put(engine, call_line("r1", incident="I-7"), call_line("r2", incident="I-7", town="west"), call_line("r3"))
    put(engine, call_line("r4", incident="I-7", centre="south"))
    put(engine, report_line({"late": True}, incident_id="I-7"), report_line({"late": True}, request_id="r1"))
    put(engine, report_line({"late": True}, request_id="r3"))
    assert erase_incident(chosen(tmp_path), "toy", "north", "I-7") == ErasedCount(2, 2)
    assert left(engine) == (["r3", "r4"], 1)
    (file,) = (tmp_path / "home" / "audit" / "ingestion").glob("*.json")
    entry = json.loads(file.read_text())
    assert (entry["action"], entry["target"]) == ("calls.erased", "an incident of north")
    assert entry["details"] == {"predictions": 2, "outcomes": 2}
    assert "I-7" not in file.read_text()


def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="Calls cannot be erased"):
        erase_incident(chosen(tmp_path), "toy", "north", "I-7")


@pytest.mark.parametrize("text", ["30", '{"default": -1}', '{"default": "long"}', "{"])
def test_days_that_are_none_are_refused_at_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="days"):
        chosen(tmp_path, calls_retention_days=text)


def test_the_command_line_erases_an_incident_and_refuses_what_is_not_clear(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(engine, call_line("r1", use_case=NAME, incident="I-7"))
    monkeypatch.setattr(settings_module, "prediction_log_settings", lambda: chosen(tmp_path))
    run = CliRunner().invoke
    arguments = ["erase-calls", "--use-case", NAME, "--incident", "I-7", "--centre", "north"]
    assert "would erase 1 predictions" in run(data.app, [*arguments, "--dry-run"]).output
    assert left(engine)[0] == ["r1"]
    assert run(data.app, arguments).exit_code == 0
    assert left(engine)[0] == []
    assert "not clear" in str(run(data.app, [*arguments[:5]]).exception)
    assert "not clear" in str(run(data.app, [*arguments, "--before", "2026-01-01"]).exception)
