"""Says what an ingestion would understand of a folder's files, and stores nothing: ``python -m
services.ingestion.preview USE_CASE FOLDER`` prints it as JSON, in a process that can be ended."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.core import params, use_case_registry
from services.core.errors import UnavailableError, VigieError
from services.core.paths import VigiePaths
from services.core.raw_files import landing
from services.core.settings import CHECKOUT, settings

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_ROWS = 5
PREVIEW_SECONDS = 110.0
_THERE = "already there/"
"""Begins the names of files that landed before: the new ones are understood together with them."""


def preview(home: VigiePaths, use_case: str, folder: Path) -> dict[str, Any]:
    """Read a folder as an ingestion would, with the files that landed before.

    Returns:
        ``files``: each with its table, rows, quarantined rows, findings and the first rows as read. ``left_aside``:
        name -> reason. ``refusals``: why the ingestion would end, none if it would succeed. ``notes``: rows without
        their counterpart in other files, values that a person would have to confirm.

    Raises:
        VigieError: there is no such folder.
    """
    from services.core.raw_files.reader import read_files  # noqa: PLC0415 - pandas, in the reading process only

    if not folder.is_dir():
        raise VigieError(f"{folder} is not a folder.", expected="a folder of raw official files")
    declared = use_case_registry.get(use_case)
    before = home.data(use_case) / "landing"
    landed = [file for file in landing.list_files(before) if file.origin != "simulated"] if before.is_dir() else []
    result = read_files(
        declared,
        [*((_THERE + file.name, file.path) for file in landed), (folder.name, folder)],
        max_bad_share=params.load_params(CHECKOUT).including(use_case).of(use_case).ingest.max_bad_share,
        confirmed=landing.confirmed_codes(before),
        collect=True,
    )
    files, place = [], Counter[str]()
    for report in result.reports:
        _, rows = result.files[report.table][place[report.table]]
        place[report.table] += 1
        if not report.file.startswith(_THERE):
            about = {**asdict(report), "findings": [finding.sentence() for finding in report.findings]}
            files.append(about | {"sample": sample(rows)})
    return {
        "use_case": use_case,
        "recognised": result.recognised,
        "files": files,
        "left_aside": result.ignored,
        "refusals": [
            {"problem": error.problem, "expected": error.expected, "action": error.action} for error in result.refusals
        ],
        "notes": result.notes
        + [join.text for join in result.joins]
        + [f"{doubt.file}: {doubt.text}" for doubt in result.doubts],
    }


def sample(rows: pd.DataFrame) -> list[dict[str, str]]:
    """The first rows as they were read, as text; missing values are blank."""
    records = rows.head(SAMPLE_ROWS).to_dict("records")
    return [{str(name): _text(value) for name, value in record.items()} for record in records]


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.10g}"
    return "" if str(value) == "NaT" else str(value)


def preview_in_process(home: VigiePaths, use_case: str, folder: Path) -> Mapping[str, Any]:
    """``preview`` in a process of its own: a service keeps neither pandas nor the files in memory.

    Raises:
        VigieError: as ``preview``.
        UnavailableError: it takes too long.
    """
    command = [sys.executable, "-m", __name__, use_case, str(folder)]
    environment = os.environ | {"VIGIE_HOME": str(home.root)}
    try:
        done = subprocess.run(
            command,
            cwd=CHECKOUT,
            env=environment,
            timeout=PREVIEW_SECONDS,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(
            f"Checking the folder takes more than {PREVIEW_SECONDS:.0f} seconds.",
            action=f"Check it on the command line: ./vigie ingest {use_case} --check {folder}",
        ) from None
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        raise VigieError(**answer["error"])
    return answer


def main(use_case: str, folder: Path) -> None:
    try:
        answer = preview(settings().home, use_case, folder)
    except VigieError as error:
        answer = {"error": {"problem": error.problem, "expected": error.expected, "action": error.action}}
    sys.stdout.write(json.dumps(answer, ensure_ascii=True))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
