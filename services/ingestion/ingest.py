"""The ingest stage: landing/ -> raw/ and quarantine/, below ``data/<use case>``. Pure: the same landed
files and parameters give the same bytes."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import structlog

from services.core.bundle.manifest import sha256
from services.core.io import replacing_folder
from services.core.params import Ingest
from services.core.usecases import registry
from services.core.usecases.contract import UseCase
from services.ingestion import landing
from services.ingestion.landing import Landed
from services.ingestion.simulated import simulate
from services.ingestion.source import first_of
from services.ingestion.tables import Ingested, read_files

MANIFEST = "manifest.json"
QUARANTINE = "rows.csv"
_QUARANTINE_COLUMNS = ["file", "table", "line", "reason", "row"]


def ingest(use_case: str, root: Path, parameters: Ingest) -> None:
    """Make ``raw`` and ``quarantine`` of what has landed. In a fresh checkout, where nothing has, the
    simulator stands in, so that ``dvc repro`` works there offline.

    Raises:
        VigieError: see ``read_files``; nothing was changed then.
    """
    data = root / "data" / use_case
    files = landing.landed(data / "landing") if (data / "landing").is_dir() else []
    if files:
        _store(data, registry.get(use_case), landing.in_force(files), parameters)
        return
    with tempfile.TemporaryDirectory() as folder:
        _store(
            data,
            registry.get(use_case),
            simulate(registry.get(use_case), parameters.simulate, Path(folder)),
            parameters,
        )


def _store(data: Path, use_case: UseCase, files: list[Landed], parameters: Ingest) -> None:
    ingested = read_files(use_case, [(f.name, f.path) for f in files], max_bad_share=parameters.max_bad_share)
    with replacing_folder(data / "raw") as raw, replacing_folder(data / "quarantine") as quarantine:
        for name, table in ingested.tables.items():
            table.to_parquet(raw / f"{name}.parquet", index=False, compression="zstd")
        refused = pd.concat([pd.DataFrame(columns=_QUARANTINE_COLUMNS), *(f for f in ingested.quarantine if len(f))])
        refused[_QUARANTINE_COLUMNS].to_csv(quarantine / QUARANTINE, index=False)
        content = _manifest(use_case, files, ingested, raw)
        (raw / MANIFEST).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    log = structlog.get_logger()
    if ingested.ignored:
        log.info("files left alone", number=len(ingested.ignored), first=first_of(ingested.ignored))
    log.info("ingested", use_case=use_case.name, simulated=content["simulated"], tables=content["tables"])


def _manifest(use_case: UseCase, files: list[Landed], ingested: Ingested, raw: Path) -> dict[str, object]:
    return {
        "use_case": use_case.name,
        "simulated": any(file.origin == "simulated" for file in files),
        "origins": sorted({file.origin for file in files}),
        "files": [{"name": f.name, "origin": f.origin, "sha256": sha256(f.path)} for f in files],
        "sheets": [asdict(report) for report in ingested.reports],
        "tables": {
            name: {"rows": len(table), "sha256": sha256(raw / f"{name}.parquet")}
            for name, table in ingested.tables.items()
        },
        "quarantined": sum(report.quarantined for report in ingested.reports),
    }
