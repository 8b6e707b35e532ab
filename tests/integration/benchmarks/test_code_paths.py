"""A call, a row and a promotion pass through few files: who follows one opens no more than the limits say."""

from __future__ import annotations

import re
import subprocess
import sys

from benchmarks.code_paths import LIMITS
from services.core.settings import CHECKOUT


def test_each_path_passes_through_no_more_files_than_its_limit() -> None:
    """In a process of its own: the trace takes the interpreter's one profiling hook."""
    command = [sys.executable, "-m", "benchmarks.code_paths"]
    printed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=120).stdout
    counts = {name: int(count) for name, count in re.findall(r"^(.+): (\d+) files \(at most", printed, re.MULTILINE)}
    assert counts.keys() == LIMITS.keys()
    assert {name: count for name, count in counts.items() if not 10 < count <= LIMITS[name]} == {}, printed
