"""Commands are listed and completed without importing them, and each imports what it needs when it is used."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from services.cli.command_table import COMMANDS
from services.core.settings import CHECKOUT

HEAVY = {"alembic", "fastapi", "mlflow", "numpy", "onnxruntime", "pandas", "pyarrow", "scipy", "sklearn", "sqlalchemy"}
LOADED = """
import atexit, runpy, sys
atexit.register(lambda: sys.stderr.write(" ".join({name.partition(".")[0] for name in sys.modules})))
runpy.run_module("services.cli", run_name="__main__")
"""


def loaded(home: Path, *arguments: str) -> set[str]:
    """The packages that a command imports."""
    done = ended(home, "-c", LOADED, *arguments)
    return set(done.stderr.splitlines()[-1].split())


def ended(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "VIGIE_HOME": str(home), **environment}
    line = [sys.executable, *arguments]
    return subprocess.run(line, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=60)


def completed(home: Path, words: str) -> list[str]:
    """What a shell offers for the last of ``words``."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_VIGIE_COMPLETE": "complete_bash"}
    return ended(home, "-m", "services.cli", **asked).stdout.split()


def test_help_imports_no_command(tmp_path: Path) -> None:
    found = loaded(tmp_path, "--help")
    assert "typer" in found
    assert not found & {*HEAVY, "httpx", "pydantic", "structlog", "yaml"}


@pytest.mark.parametrize("command", ["models", "status", "predict --help", "users --help", "rollback --help"])
def test_a_command_imports_what_it_needs_and_nothing_heavy(command: str, tmp_path: Path) -> None:
    found = loaded(tmp_path, *command.split())
    assert "pydantic" in found
    assert not found & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    module, _, function = COMMANDS[name].where.partition(":")
    found = import_module(f"services.cli.commands.{module}")
    command = getattr(found, function)
    said = command.info.help if isinstance(command, typer.Typer) else inspect.getdoc(command)
    assert COMMANDS[name].help == str(said).split("\n\n")[0].replace("\n", " ")


def test_a_shell_completes_commands_options_and_use_cases(tmp_path: Path) -> None:
    assert completed(tmp_path, "./vigie mo") == ["models"]
    assert sorted(completed(tmp_path, "./vigie users ")) == [
        "activate",
        "add",
        "deactivate",
        "list",
        "reset-password",
        "role",
    ]
    assert "--json" in completed(tmp_path, "./vigie models --")
    assert completed(tmp_path, "./vigie predict wi") == ["wine_quality"]


def test_the_completion_script_calls_the_command_as_it_was_typed(tmp_path: Path) -> None:
    """Bash asks by the last part of the command's path, so ``./vigie`` and ``vigie`` are completed alike."""
    script = ended(tmp_path, "-m", "services.cli", "--show-completion", "bash").stdout
    assert "_VIGIE_COMPLETE=complete_bash $1" in script
    assert script.rstrip().endswith(" vigie")


def test_what_a_command_makes_in_its_home_is_for_its_user_alone(tmp_path: Path) -> None:
    """A home of an older release is closed, and a new one is never open."""
    (old := tmp_path / "old" / "registry").mkdir(parents=True)
    old.parent.chmod(0o755)
    for home in (old.parent, tmp_path / "new"):
        done = ended(tmp_path, "-m", "services.cli", "doctor", VIGIE_HOME=str(home))
        assert "Error" not in done.stderr
        assert home.stat().st_mode & 0o077 == 0
