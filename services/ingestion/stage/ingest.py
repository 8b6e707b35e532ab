"""The ingest stage: ``landing/`` -> ``raw/`` and ``quarantine/`` below ``data/<use case>``. Deterministic."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import structlog

from services.core import use_case_registry
from services.core.contract.use_case import UseCase
from services.core.io import file_sha256, replacing_folder
from services.core.params import Ingest, Simulate
from services.core.raw_files import landing
from services.core.raw_files.ingest_report import IngestResult, first_ignored, report_lines
from services.core.raw_files.landing import LandedFile
from services.core.raw_files.reader import read_files

MANIFEST = "manifest.json"
QUARANTINE = "rows.csv"
_QUARANTINE_COLUMNS = ["file", "table", "line", "reason", "column", "value", "row"]


def ingest(use_case: str, root: Path, parameters: Ingest) -> None:
    """Build ``raw`` and ``quarantine`` from the landed files. In a fresh checkout without landed files the
    simulator generates them, so that ``dvc repro`` works offline.

    Raises:
        VigieError: see ``read_files``; nothing is changed then.
    """
    data = root / "data" / use_case
    files = landing.list_files(data / "landing") if (data / "landing").is_dir() else []
    if files:
        confirmed = landing.confirmed_codes(data / "landing")
        _write_outputs(data, use_case_registry.get(use_case), landing.effective_files(files), parameters, confirmed)
        return
    with tempfile.TemporaryDirectory() as folder:
        _write_outputs(
            data,
            use_case_registry.get(use_case),
            simulate_files(use_case_registry.get(use_case), parameters.simulate, Path(folder)),
            parameters,
        )


def _write_outputs(
    data: Path,
    use_case: UseCase,
    files: list[LandedFile],
    parameters: Ingest,
    confirmed: frozenset[str] = frozenset(),
) -> None:
    ingested = read_files(
        use_case, [(f.name, f.path) for f in files], max_bad_share=parameters.max_bad_share, confirmed=confirmed
    )
    with replacing_folder(data / "raw") as raw, replacing_folder(data / "quarantine") as quarantine:
        for name, table in ingested.tables.items():
            table.to_parquet(raw / f"{name}.parquet", index=False, compression="zstd")
        refused = pd.concat([pd.DataFrame(columns=_QUARANTINE_COLUMNS), *(f for f in ingested.quarantine if len(f))])
        refused[_QUARANTINE_COLUMNS].to_csv(quarantine / QUARANTINE, index=False)
        content = _manifest(use_case, files, ingested, raw)
        (raw / MANIFEST).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    log = structlog.get_logger()
    for line in content["report"]:
        log.warning("ingest report", use_case=use_case.name, text=line)
    log.info("ingested", use_case=use_case.name, simulated=content["simulated"], tables=content["tables"])


def _manifest(use_case: UseCase, files: list[LandedFile], ingested: IngestResult, raw: Path) -> dict[str, Any]:
    return {
        "use_case": use_case.name,
        "simulated": any(file.origin == "simulated" for file in files),
        "origins": sorted({file.origin for file in files}),
        "files": [{"name": f.name, "origin": f.origin, "sha256": file_sha256(f.path)} for f in files],
        "sheets": [asdict(report) for report in ingested.reports],
        "tables": {
            name: {"rows": len(table), "sha256": file_sha256(raw / f"{name}.parquet")}
            for name, table in ingested.tables.items()
        },
        "quarantined": sum(report.quarantined for report in ingested.reports),
        "left_aside": first_ignored(ingested.ignored),
        "joins": [asdict(join) for join in ingested.joins],
        "confirmed": [asdict(doubt) for doubt in ingested.doubts],
        "report": report_lines(ingested),
    }


def simulate_files(use_case: UseCase, parameters: Simulate, folder: Path) -> list[LandedFile]:
    """Generate files with the use case's simulator in an empty landing folder."""
    with tempfile.TemporaryDirectory() as scratch:
        written = use_case.simulator.write(Path(scratch), **parameters.model_dump())
        for path in written:
            with path.open("rb") as stream:
                landing.add_file(folder, "simulated", path.name, stream)
    return landing.list_files(folder)
