"""A call, a row and a promotion pass through few files: whoever follows one opens no more than the limits say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.code_paths import LIMITS
from services.core.settings import CHECKOUT


@pytest.mark.parametrize("name", LIMITS)
def test_a_path_passes_through_no_more_files_than_its_limit(name: str) -> None:
    """In a process of its own: the trace takes the interpreter's one profiling hook."""
    command = [sys.executable, "-m", "benchmarks.code_paths", "--only", name]
    printed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=120).stdout
    files = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
    assert len(files) > 10, printed
    assert len(files) <= LIMITS[name], files
