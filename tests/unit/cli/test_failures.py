"""A command that fails says so on one line, without raw log lines, and prints nothing else."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from services.cli import failures
from services.cli.commands import backup
from services.cli.console import fail, print_json
from services.core.errors import VigieError
from tests.unit.cli.test_command_table import ended


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("run fire_respons", 1, "Did you mean 'fire_response'?"),
        ("run wine_quality --source /no/such/folder", 1, "there is no such folder"),
        ("rum", 2, "Did you mean 'run'?"),
        ("run", 2, "Missing argument 'USE_CASE'"),
        ("models --nope", 2, "./vigie models --help"),
        ("predict wine_quality {", 1, "not JSON"),
        ("predict wine_quality {} --example", 1, "either a request or --example"),
        ("data checkout wine_quality x", 1, "USE_CASE@NUMBER"),
        ("simulate storn", 1, "There is no scenario 'storn'"),
        ("simulate storm", 1, "No simulator runs"),
        ("restore /nope", 1, "/nope"),
        ("evaluate wine_quality --data . --json", 1, "no champion"),
        ("keys list --json", 1, "database"),
    ],
)
def test_an_error_is_one_line(words: str, code: int, said: str, tmp_path: Path) -> None:
    done = ended(tmp_path, "-m", "services.cli", *words.split(), COLUMNS="80")
    assert done.returncode == code
    assert done.stdout == ""
    *steps, line = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line
    assert all(step.startswith("…") for step in steps), steps


@pytest.mark.parametrize(
    "words", ["run wine_quality --source simulator", "ingest wine_quality --source simulator", "up --any-port"]
)
def test_a_home_that_cannot_be_made_is_one_line_with_the_reason(words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    done = ended(tmp_path, "-m", "services.cli", *words.split(), VIGIE_HOME=str(home))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith(("…", "Port "))]
    assert "Not a directory" in line
    assert "MiB free" in line


def test_a_setting_that_is_not_usable_is_named(tmp_path: Path) -> None:
    done = ended(tmp_path, "-m", "services.cli", "status", VIGIE_LOG_LEVEL="loud")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "VIGIE_LOG_LEVEL" in line


def test_a_terminal_that_cannot_show_a_letter_gets_another_in_its_place(tmp_path: Path) -> None:
    done = ended(tmp_path, "-m", "services.cli", "run", "éé", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "There is no use case '??'" in done.stderr
    assert "Traceback" not in done.stderr


def test_lists_and_lines_of_an_error_are_joined(capsys: pytest.CaptureFixture[str]) -> None:
    fail(VigieError("Not valid:\n- a: one\n- b: two", expected="else", action="Do it."))
    assert capsys.readouterr().err == "Error: Not valid: a: one; b: two. Expected: else. What to do: Do it.\n"


def _full(home: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _unforeseen(home: Path) -> None:
    raise KeyError("call of 10:32\nat Soho")


@pytest.mark.parametrize(("raises", "said"), [(_full, "No space left on device ("), (_unforeseen, "cli.log")])
def test_what_nobody_foresaw_is_one_line_too_and_its_traceback_is_in_the_log(
    raises: Callable[[Path], None],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VIGIE_HOME", str(tmp_path))
    failures.settings.cache_clear()
    kept = logging.getLogger().handlers[:]
    failures.log_to_file()
    with pytest.raises((OSError, KeyError)) as raised:
        raises(tmp_path)
    assert failures.report(raised.value) == 1
    logging.getLogger().handlers[0].close()
    logging.getLogger().handlers[:] = kept
    failures.settings.cache_clear()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert said in printed.err
    logged = (tmp_path / "logs" / "cli.log").read_text() if raises is _unforeseen else "{}"
    assert (json.loads(logged).get("event") == "command failed") is (raises is _unforeseen)


def test_an_object_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"note": "[bold]:warning: é", "n": 1.5}
    print_json(value)
    assert json.loads(capsys.readouterr().out) == value


def test_a_log_on_a_full_disk_adds_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "cli.log").symlink_to("/dev/full")
    handler = failures._CommandLog(tmp_path / "logs" / "cli.log", delay=True)
    handler.emit(logging.makeLogRecord({"msg": "a warning"}))
    with suppress(OSError):
        handler.close()
    assert capsys.readouterr().err == ""


def test_a_backup_onto_a_full_disk_names_the_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # as of an open file: it names none

    monkeypatch.setattr(backup.backup_local, "backup_home", full)
    with pytest.raises(VigieError, match=rf"{tmp_path}/b cannot be written: No space left on device"):
        backup.backup(tmp_path / "b")
