"""``/admin/platform`` and ``/admin/retention``: how the parts are, and how long things are kept."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway.callers import Admin, Viewer
from services.gateway.platform_health import looked_at, parts_of
from services.gateway.platform_settings import PlatformSettings
from services.gateway.reading_schemas import Platform, Retention
from services.gateway.settings import GatewaySettings
from services.gateway.stages import Stages


def platform_router(settings: GatewaySettings, stages: Stages) -> APIRouter:
    router = APIRouter(tags=["the platform"])
    places = PlatformSettings.model_validate({"VIGIE_HOME": settings.home_path})

    @router.get("/admin/platform", summary="The platform's parts: how they are, and their pages")
    async def platform(caller: Viewer) -> Platform:
        """Those whose pages one may see. Asked at this moment; a part that does not answer in time is down."""
        parts = tuple(part for part in parts_of(settings, places) if caller.role.covers(part.role))
        return Platform(parts=await looked_at(parts, places.platform_health_seconds))

    @router.get("/admin/retention", summary="How long calls and jobs are kept")
    async def retention(caller: Admin) -> Retention:  # noqa: ARG001 - the role is what counts
        """As the service says that removes them. 503: it does not answer."""
        return Retention.model_validate(await stages.tell("ingestion", "/retention"))

    return router
