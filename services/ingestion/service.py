"""The ingestion service: settings, metrics, routes and job handlers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from pydantic import Field

from services.core import use_case_registry
from services.core import use_case_registry as declared
from services.core.errors import NotFoundError, UnavailableError, VigieError
from services.core.jobs.job_process import JobContext, JobHandler
from services.core.jobs.metrics import JobMetrics
from services.core.jobs.options import HousekeepingOptions, IngestOptions, JobSettings
from services.core.jobs.queue import JobQueue
from services.core.jobs.tables import JobState, last_retention
from services.core.paths import VigiePaths
from services.core.pipeline.run import run_stages
from services.core.prediction_log.retention import enforce_retention
from services.core.prediction_log.settings import PredictionLogSettings, prediction_log_settings
from services.core.raw_files.ingest_report import first_ignored
from services.core.settings import CHECKOUT
from services.core.web.authentication import SERVICE
from services.core.web.service_auth import GatewayPrincipal
from services.ingestion.preview import preview_in_process
from services.ingestion.published_data import last_successes, published_data
from services.ingestion.retention import remove_expired
from services.ingestion.sources.acquire import AcquireResult, acquire


class IngestionSettings(JobSettings):
    """Settings of the ingestion service."""

    ingestion_host: str = "127.0.0.1"
    ingestion_port: int = Field(default=8601, ge=1, le=65_535)
    ingestion_folders: str = ""
    """Comma-separated folders that jobs may use as a source, including subfolders. The drop folders
    below ``VIGIE_HOME`` are always allowed."""


def register_row_metrics(counters: JobMetrics, home: VigiePaths) -> None:
    """Register metrics of all use cases' published tables."""
    counters.registry.register(PublishedRowsCollector(home, declared.names()))


class PublishedRowsCollector(Collector):
    """Collects the row counts of published tables on scrape."""

    def __init__(self, home: VigiePaths, use_cases: Sequence[str]) -> None:
        self._home, self._use_cases = home, use_cases

    def collect(self) -> Iterator[Metric]:
        rows = GaugeMetricFamily("vigie_ingested_rows", "Rows of the published tables.", labels=("use_case", "table"))
        quarantined = GaugeMetricFamily(
            "vigie_quarantined_rows", "Rows that were not let in, with their reasons.", labels=("use_case",)
        )
        published = GaugeMetricFamily(
            "vigie_data_published_timestamp_seconds", "When a run last published.", labels=("use_case",)
        )
        for use_case in self._use_cases:
            try:
                # Always complete: publishing renames a finished folder.
                found = json.loads((self._home.data(use_case) / "raw" / "manifest.json").read_bytes())
                since = self._home.current(use_case).lstat().st_mtime
            except OSError:
                continue  # nothing published yet
            quarantined.add_metric((use_case,), found["quarantined"])
            published.add_metric((use_case,), since)
            for name, table in found["tables"].items():
                rows.add_metric((use_case, name), table["rows"])
        yield from (rows, quarantined, published)


_MAX_JOBS = 100


def data_router(settings: IngestionSettings) -> APIRouter:
    router = APIRouter(tags=["data"])
    own = dict(SERVICE)

    @router.get("/sources/{use_case}", openapi_extra=own, summary="Files, tables, quarantine and sources of a use case")
    def list_sources(request: Request, use_case: str, _: GatewayPrincipal) -> dict[str, Any]:
        declared = use_case_registry.get(use_case)
        found = published_data(settings.home, declared)
        if found is None:
            raise NotFoundError(f"Nothing was ingested for {use_case} yet.", action="Start an ingestion.")
        queue: JobQueue = request.app.state.queue
        jobs = queue.newest(use_case=use_case, state=JobState.SUCCEEDED, limit=_MAX_JOBS)
        return found | {"last_successes": last_successes(jobs)}

    checking = threading.Lock()

    @router.get("/preview/{use_case}", openapi_extra=own, summary="What would be understood of a folder's files")
    def preview_files(use_case: str, _: GatewayPrincipal, folder: str = "") -> Mapping[str, Any]:
        """Stores nothing. Without a folder that of the dropped files. 503: another check is running."""
        declared = use_case_registry.get(use_case)
        chosen = validate_source(folder or str(settings.home.drop(declared.name)), settings.home, settings)
        if chosen in SOURCE_NAMES:
            raise VigieError("Only a folder can be checked before it is ingested.", expected="the path of a folder")
        if not checking.acquire(blocking=False):
            raise UnavailableError("Another folder is being checked.", action="Try again when that has ended.")
        try:
            return preview_in_process(settings.home, declared.name, Path(chosen))
        finally:
            checking.release()

    @router.get("/retention", openapi_extra=own, summary="How long calls and jobs are kept")
    def get_retention(request: Request, _: GatewayPrincipal) -> dict[str, Any]:
        """The limits by which housekeeping, a job of this service, deletes data, and when it last did."""
        calls = PredictionLogSettings()
        queue: JobQueue = request.app.state.queue
        return {
            "days": {name: calls.retention_days(name) for name in use_case_registry.names()},
            "pseudonymised": sorted(calls.pseudonymised),
            "jobs_days": settings.job_keep_days,
            "last_run": queue.read(last_retention),
        }

    return router


SOURCE_NAMES = ("auto", "official", "simulator")
EMPTY_MANIFEST: Mapping[str, Any] = {"tables": {}, "quarantined": 0, "simulated": False}


def ingest(task: JobContext) -> Mapping[str, Any]:
    """Acquire raw files, validate them and publish the tables. ``changed`` says whether the published tables
    changed."""
    options: IngestOptions = task.options
    source = validate_source(options.source, task.home, IngestionSettings())
    acquired: list[AcquireResult] = []

    def prepare(workspace: Path) -> None:
        landing = workspace / "data" / task.use_case / "landing"
        found = acquire(
            task.use_case,
            source,
            landing,
            home=task.home,
            root=CHECKOUT,
            fresh=options.fresh,
            confirm=options.confirm.replace(",", " ").split(),
        )
        acquired.append(found)
        for line in found.lines():
            task.progress(line)

    before, old_state = _manifest(task.home, task.use_case), _state(task.home, task.use_case)
    state = run_stages(task.home, task.use_case, "ingest", prepare=prepare, progress=task.progress, output=task.log)
    manifest = _manifest(task.home, task.use_case)
    return {
        "source": acquired[0].source,
        "simulated": manifest["simulated"],
        "changed": manifest["tables"] != before["tables"],
        "state": state.name,
        "new_state": state.name != old_state,
        "files": {
            "new": len(acquired[0].added),
            "known": len(acquired[0].known),
            "left_alone": len(acquired[0].ignored),
            "simulated_dropped": len(acquired[0].dropped),
        },
        "left_aside": first_ignored({**acquired[0].ignored, **manifest.get("left_aside", {})}),
        "report": manifest.get("report", []),
        "rows": {name: table["rows"] for name, table in manifest["tables"].items()},
        "rows_quarantined": manifest["quarantined"],
    }


def run_retention(task: JobContext) -> Mapping[str, Any]:
    options: HousekeepingOptions = task.options
    # First what people were promised: the rest needs the registry too.
    calls = enforce_retention(prediction_log_settings(), dry_run=options.dry_run)
    for use_case, erased in calls.items():
        task.progress(f"calls of {use_case}: {erased} {'would go' if options.dry_run else 'removed'}")
    found = remove_expired(task.home, keep_days=options.keep_days, dry_run=options.dry_run, progress=task.progress)
    return {**found, "calls": {use_case: asdict(erased) for use_case, erased in calls.items()}}


JOBS: Mapping[str, JobHandler] = {"ingest": ingest, "housekeeping": run_retention}


def validate_source(source: str, home: VigiePaths, settings: IngestionSettings) -> str:
    """Return the source if it is a keyword or a folder that jobs may read.

    Raises:
        VigieError: any other folder; permission to start a job does not include reading arbitrary files.
    """
    if source in SOURCE_NAMES:
        return source
    named = [Path(folder.strip()) for folder in settings.ingestion_folders.split(",") if folder.strip()]
    roots = [folder.expanduser().resolve() for folder in (home.root / "drop", *named)]
    path = Path(source).expanduser().resolve()
    if not any(path == root or root in path.parents for root in roots):
        raise VigieError(
            "The source is a folder that jobs may not read.",
            expected=", ".join(SOURCE_NAMES) + ", or a folder below " + " or ".join(map(str, roots)),
            action="Put the files into the drop folder, or name the folder in VIGIE_INGESTION_FOLDERS.",
        )
    return str(path)


def _manifest(home: VigiePaths, use_case: str) -> dict[str, Any]:
    path = home.data(use_case) / "raw" / "manifest.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else dict(EMPTY_MANIFEST)
    return found


def _state(home: VigiePaths, use_case: str) -> str:
    link = home.current(use_case)
    return link.resolve().name if link.exists() else ""
