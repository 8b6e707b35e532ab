"""``/examples/{use_case}``: what the last preprocessing published, and the picture of it."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter

from services.core.errors import NotFoundError
from services.core.usecases import registry
from services.core.web.roles import SERVICE
from services.core.web.service_credential import ServiceCaller
from services.preprocessing.preprocess import MANIFEST
from services.preprocessing.profile import NAME
from services.preprocessing.settings import PreprocessingSettings


def data_router(settings: PreprocessingSettings) -> APIRouter:
    router = APIRouter(tags=["data"])
    own = dict(SERVICE)

    def read(use_case: str, name: str) -> dict[str, Any]:
        path = settings.home.data(registry.get(use_case).name) / "examples" / name
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFoundError(
                f"There is no {name} of the examples of {use_case} yet.", action="Start a retraining: it makes them."
            ) from None
        return content

    @router.get("/examples/{use_case}", openapi_extra=own, summary="Rows, span and origins of the examples")
    def manifest(use_case: str, _: ServiceCaller) -> dict[str, Any]:
        return read(use_case, MANIFEST)

    @router.get("/examples/{use_case}/profile", openapi_extra=own, summary="A picture of the examples")
    def profile(use_case: str, _: ServiceCaller) -> dict[str, Any]:
        return read(use_case, NAME)

    return router
