"""The shell script in front of everything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from services.core.settings import CHECKOUT


def _path_with(folder: Path, *, python: str | None) -> str:
    """A PATH with the ordinary tools and a ``python3`` that prints and behaves as told."""
    folder.mkdir()
    for tool in ("bash", "dirname", "cat", "cksum", "flock", "env"):
        found = shutil.which(tool)
        if found:
            (folder / tool).symlink_to(found)
    if python is not None:
        script = folder / "python3"
        script.write_text(f"#!/bin/sh\n{python}\n")
        script.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("python", "found"),
    [(None, "no python3"), ('[ "$1" = --version ] && echo "Python 3.9.2" || exit 1', "Python 3.9.2")],
    ids=["missing", "too old"],
)
def test_without_a_python_that_fits_it_says_so_and_what_to_do(tmp_path: Path, python: str | None, found: str) -> None:
    path = _path_with(tmp_path / "bin", python=python)
    done = subprocess.run(
        [str(CHECKOUT / "vigie"), "doctor"],
        env={"PATH": path, "VIGIE_VENV": str(tmp_path / "venv")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert found in done.stderr
    assert "VIGIE_PYTHON" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_completing_a_word_installs_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(CHECKOUT / "vigie")],
        env={**os.environ, "VIGIE_VENV": str(tmp_path / "venv"), "_VIGIE_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "venv").exists()


def test_it_runs_from_any_folder_and_hands_on_arguments_and_exit_code(tmp_path: Path) -> None:
    environment = {**os.environ, "VIGIE_HOME": str(tmp_path / "home with space")}
    done = subprocess.run(
        [str(CHECKOUT / "vigie"), "status"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "home with space" in done.stderr


def test_compiled_code_is_kept_also_where_python_is_told_not_to(tmp_path: Path) -> None:
    """Each of the platform's short processes would otherwise compile its libraries anew: twice the time."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    interpreter = venv / "bin" / "python"
    interpreter.write_text('#!/bin/sh\necho "[${PYTHONDONTWRITEBYTECODE-unset}]"\n')
    interpreter.chmod(0o755)
    with (CHECKOUT / "requirements" / "lock.txt").open("rb") as lock:
        digest = subprocess.run(["cksum"], stdin=lock, capture_output=True, check=True).stdout
    (venv / ".vigie-lock").write_bytes(digest)
    done = subprocess.run(
        [str(CHECKOUT / "vigie"), "status"],
        env={**os.environ, "VIGIE_VENV": str(venv), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[unset]\n"


def test_a_checkout_whose_name_ends_a_search_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    script = shutil.copy2(CHECKOUT / "vigie", tmp_path / "a:b" / "vigie")
    done = subprocess.run([script, "doctor"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "a:b has a ':' in its name" in done.stderr
