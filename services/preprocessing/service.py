"""The preprocessing service: settings, routes and job handlers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from services.core import use_case_registry
from services.core.errors import NotFoundError
from services.core.jobs.job_process import JobContext, JobHandler
from services.core.jobs.options import JobSettings
from services.core.pipeline.run import run_stages
from services.core.prediction_log.label_export import export_labels
from services.core.web.authentication import SERVICE
from services.core.web.service_auth import GatewayPrincipal
from services.preprocessing.stage.preprocess import MANIFEST
from services.preprocessing.stage.profile import PROFILE_FILE


class PreprocessingSettings(JobSettings):
    """Settings of the preprocessing service."""

    preprocessing_host: str = "127.0.0.1"
    preprocessing_port: int = Field(default=8602, ge=1, le=65_535)


def data_router(settings: PreprocessingSettings) -> APIRouter:
    router = APIRouter(tags=["data"])
    own = dict(SERVICE)

    def read(use_case: str, *paths: str) -> dict[str, Any]:
        data = settings.home.data(use_case_registry.get(use_case).name)
        for path in paths:
            if (data / path).is_file():
                content: dict[str, Any] = json.loads((data / path).read_text(encoding="utf-8"))
                return content
        raise NotFoundError(
            f"There is no {Path(paths[0]).name} of the examples of {use_case} yet.",
            action="Start a retraining: it makes them.",
        )

    @router.get("/examples/{use_case}", openapi_extra=own, summary="Rows, span and origins of the examples")
    def get_examples(use_case: str, _: GatewayPrincipal) -> dict[str, Any]:
        return read(use_case, f"examples/{MANIFEST}")

    @router.get("/examples/{use_case}/profile", openapi_extra=own, summary="A picture of the examples")
    def get_data_profile(use_case: str, _: GatewayPrincipal) -> dict[str, Any]:
        return read(use_case, PROFILE_FILE, f"examples/{PROFILE_FILE}")  # the second: path in release 0.1.0

    return router


def preprocess(task: JobContext) -> Mapping[str, Any]:
    def prepare(workspace: Path) -> None:
        task.progress(str(export_labels(task.use_case, workspace)))

    state = run_stages(task.home, task.use_case, "preprocess", prepare=prepare, progress=task.progress, output=task.log)
    path = state / "data" / task.use_case / "examples" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return {
        "state": state.name,
        "simulated": manifest["simulated"],
        "rows": manifest["rows"],
        "origins": manifest["origins"],
        "span": manifest["span"],
        "labelled": manifest["labelled"],
    }


JOBS: Mapping[str, JobHandler] = {"preprocess": preprocess}
