"""``/admin/models/{use_case}/versions``: one version in full, its model card and its plots."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.core.registry.version import Version
from services.core.usecases import registry as declared
from services.gateway.callers import Viewer
from services.gateway.gateway import Gateway
from services.gateway.model_reading import card_of, detailed, plot_of, version_of
from services.gateway.reading_schemas import ModelVersion
from services.gateway.rights import require_use_case

Number = Annotated[int, Path(ge=1, le=2**31)]
_KEPT = {"Cache-Control": "private, max-age=86400"}
"""A version's files never change."""


def model_reading_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["models"])

    def chosen(use_case: str, number: int, caller: Viewer) -> Version:
        require_use_case(caller, declared.get(use_case).name)
        return version_of(gateway.settings, use_case, number)

    @router.get("/admin/models/{use_case}/versions/{number}", summary="A version in full")
    def one(use_case: str, number: Number, caller: Viewer) -> ModelVersion:
        """Metrics, the gate's decision, subgroups, parameters, data and the names of its plots."""
        return detailed(gateway.settings, chosen(use_case, number, caller))

    @router.get("/admin/models/{use_case}/versions/{number}/card", summary="A version's model card")
    def card(use_case: str, number: Number, caller: Viewer) -> Response:
        """Markdown."""
        text = card_of(gateway.settings, chosen(use_case, number, caller))
        return Response(text, media_type="text/markdown; charset=utf-8", headers=_KEPT)

    @router.get("/admin/models/{use_case}/versions/{number}/plots/{name}", summary="One of a version's plots")
    def plot(use_case: str, number: Number, name: str, caller: Viewer) -> Response:
        """PNG."""
        return Response(
            plot_of(gateway.settings, chosen(use_case, number, caller), name), media_type="image/png", headers=_KEPT
        )

    return router
