"""Says what share of the lines the tests ran, by package, and fails where that is too little:
``python -m tests.coverage_limits``. ``./vigie test --nightly coverage`` measures and then runs this."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from services.core.settings import CHECKOUT

ALL_LINES = 90.0
EACH_PACKAGE = 80.0
"""Percent of lines."""


def package_of(path: str) -> str:
    """A service or a use case; below core, its packages and single files."""
    parts = PurePosixPath(path).with_suffix("").parts
    deep = len(parts) > 3 or (len(parts) == 3 and parts[1] == "core")
    return ".".join(parts[:3] if deep and parts[1] in {"core", "use_cases"} else parts[:2])


def shares(files: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """Package -> percent of its lines that ran; ``all`` is the whole. ``files``: path -> lines that ran, lines."""
    ran: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for path, (covered, statements) in files.items():
        for name in (package_of(path), "all"):
            ran[name] += covered
            lines[name] += statements
    return {name: 100.0 * ran[name] / lines[name] for name in sorted(lines) if lines[name]}


def below_limit(found: Mapping[str, float]) -> list[str]:
    return [name for name, share in found.items() if share < (ALL_LINES if name == "all" else EACH_PACKAGE)]


def _measured() -> dict[str, tuple[int, int]]:
    """What coverage has recorded. Processes that ended after pytest left files of their own beside its file."""
    if any(CHECKOUT.glob(".coverage.*")):
        _coverage("combine", "--append", "--quiet")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        _coverage("json", "--quiet", "-o", str(report))
        files = json.loads(report.read_text())["files"]
    return {path: (file["summary"]["covered_lines"], file["summary"]["num_statements"]) for path, file in files.items()}


def _coverage(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=CHECKOUT, check=True)


def table(found: Mapping[str, float], low: Sequence[str]) -> Iterable[str]:
    for name, share in found.items():
        yield f"{name:45} {share:6.1f} %{'  too little' if name in low else ''}"


if __name__ == "__main__":
    measured = shares(_measured())
    missing = below_limit(measured)
    print("\n".join(table(measured, missing)))  # noqa: T201 - the report
    sys.exit(1 if missing else 0)
