"""A stage says what went wrong to the person and to the run that started it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.jobs.job_process import JobContext, run_handler
from services.core.jobs.options import OPTIONS
from services.core.pipeline import stage
from services.core.pipeline.stage import ERROR_FILE_VARIABLE, read_stage_error, run_stage_main
from services.core.settings import CHECKOUT, settings


@pytest.fixture
def error_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ERROR_FILE_VARIABLE, str(tmp_path / "error.json"))
    monkeypatch.setattr(stage, "configure_logging", lambda _: None)  # the test run's logging stays as it is
    return tmp_path / "error.json"


def fail(_: str) -> None:
    raise VigieError("The bridge is out.", expected="a bridge", action="Take the ferry.")


def test_a_stage_that_ends_well_leaves_no_error(error_file: Path) -> None:
    assert run_stage_main("ingest", lambda _: None, ["fire_response"]) == 0
    assert read_stage_error(error_file) is None


def test_an_error_reaches_the_person_and_the_run_with_all_its_sentences(
    error_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_stage_main("ingest", fail, ["fire_response"]) == 1
    said = "The bridge is out.\nExpected: a bridge\nWhat to do: Take the ferry."
    assert said in capsys.readouterr().err
    assert str(read_stage_error(error_file)) == said


@pytest.mark.parametrize("arguments", [[], ["chess"], ["fire_response", "road_accidents"]])
def test_a_wrong_call_is_explained(error_file: Path, arguments: list[str]) -> None:
    assert run_stage_main("ingest", fail, arguments) == 1
    error = read_stage_error(error_file)
    assert error is not None
    assert ", ".join(use_case_registry.names()) in error.expected


def test_a_mistake_in_the_code_is_not_dressed_up_as_an_error_for_people(error_file: Path) -> None:
    def broken(_: str) -> None:
        raise KeyError("town")

    with pytest.raises(KeyError):
        run_stage_main("ingest", broken, ["fire_response"])
    assert read_stage_error(error_file) is None


def test_a_full_disk_is_said_in_one_line(error_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fill(_: str) -> None:
        Path("/dev/full").write_text("an example")

    assert run_stage_main("ingest", fill, ["fire_response"]) == 1
    printed = capsys.readouterr().err
    assert "cannot be written: No space left on device (" in printed
    assert "MiB free there)" in printed
    assert "Traceback" not in printed
    error = read_stage_error(error_file)
    assert error is not None
    assert "Make room there" in error.action


def test_a_job_on_a_full_disk_says_the_same() -> None:
    def fill(_: object) -> Mapping[str, Any]:
        Path("/dev/full").write_text("an example")
        return {}

    error = run_handler(fill, cast("JobContext", None))["error"]
    assert "cannot be written: No space left on device (" in error["problem"]


def test_a_job_shows_no_folder_of_the_machine() -> None:
    home = settings().home.root

    def refuse(_: object) -> Mapping[str, Any]:
        raise VigieError(f"{home}/drop/toy is empty.", action=f"See {CHECKOUT}/docs, or {home}/logs.")

    error = run_handler(refuse, cast("JobContext", None))["error"]
    assert error["problem"] == "VIGIE_HOME/drop/toy is empty."
    assert error["action"] == "See ./docs, or VIGIE_HOME/logs."


@pytest.mark.parametrize("source", ["a\0b", "a\nb"])
def test_a_source_with_unprintable_letters_is_refused_before_it_is_a_job(source: str) -> None:
    with pytest.raises(ValidationError, match="source"):
        OPTIONS["ingest"](source=source)
