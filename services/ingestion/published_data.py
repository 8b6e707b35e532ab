"""Summarises the last published ingestion of a use case: sources, files, tables, quarantine."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.core.contract.use_case import UseCase
from services.core.jobs.tables import Job
from services.core.paths import VigiePaths
from services.core.raw_files import landing
from services.ingestion.stage.ingest import MANIFEST, QUARANTINE

ROWS_SHOWN, REASONS_SHOWN, FILES_SHOWN = 50, 30, 200
LONGEST_ROW = 2_000
"""Maximum number of characters shown of a rejected row."""


def published_data(home: VigiePaths, use_case: UseCase) -> dict[str, Any] | None:
    """Summary of the last published raw data; None before the first ingestion. It describes one state, even
    while another is being published."""
    root = home.current(use_case.name).resolve() / "data" / use_case.name
    path = root / "raw" / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return {
        "use_case": use_case.name,
        "made": _modified_at(path),
        "simulated": manifest["simulated"],
        "origins": manifest["origins"],
        "official": [{"title": file.title, "url": file.url} for file in use_case.data.official_files],
        "files": _files(root / "landing", manifest),
        "sheets": manifest["sheets"][:FILES_SHOWN],
        "report": manifest.get("report", [])[:FILES_SHOWN],
        "tables": [
            {
                "name": table.name,
                "optional": table.optional,
                "rows": manifest["tables"].get(table.name, {}).get("rows"),
            }
            for table in use_case.data.tables
        ],
        "quarantine": _quarantine(root / "quarantine" / QUARANTINE, int(manifest["quarantined"])),
    }


def last_successes(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """Source -> last successful ingestion with its result. ``jobs``: successful ingestions, newest first."""
    found: dict[str, dict[str, Any]] = {}
    for job in jobs:
        result: Mapping[str, Any] = job.result or {}
        source = str(result.get("source", ""))
        if job.step == "ingest" and source and source not in found:
            found[source] = {
                "source": source,
                "asked_for": str(job.options.get("source", "")),
                "finished": None if job.finished_at is None else job.finished_at.isoformat(),
                "changed": result.get("changed"),
                "files": result.get("files", {}),
                "left_aside": result.get("left_aside", {}),
                "job_id": job.id,
            }
    return list(found.values())


def _files(folder: Path, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Files that the tables were built from, in order of arrival; with arrival time and size if they are still in the
    landing folder."""
    there = {file.name: file.path for file in landing.list_files(folder)} if folder.is_dir() else {}
    shown = []
    for file in manifest["files"][-FILES_SHOWN:]:
        path = there.get(file["name"])
        size = None if path is None else path.stat().st_size
        shown.append({"name": file["name"], "origin": file["origin"], "bytes": size})
    return shown


def _quarantine(path: Path, rows: int) -> dict[str, Any]:
    """Rejected rows per reason and table, and the first of them. Reads the file once, line by line."""
    counts: Counter[tuple[str, str]] = Counter()
    first: list[dict[str, str]] = []
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                counts[row["table"], row["reason"]] += 1
                if counts[row["table"], row["reason"]] <= 5 and len(first) < ROWS_SHOWN:
                    first.append(row | {"row": row["row"][:LONGEST_ROW]})
    reasons = [
        {"table": table, "reason": reason, "rows": number}
        for (table, reason), number in counts.most_common(REASONS_SHOWN)
    ]
    return {"rows": rows, "reasons": reasons, "more_reasons": max(0, len(counts) - REASONS_SHOWN), "first": first}


def _modified_at(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
