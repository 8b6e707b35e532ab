"""``/admin/centres``."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlalchemy import select

from services.core.access.tables import CentreRow
from services.gateway import users
from services.gateway.callers import Admin, Operator
from services.gateway.gateway import Gateway
from services.gateway.rights import require_all_centres
from services.gateway.schemas import Centre, NewCentre
from services.gateway.trail import origin_of


def centres_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["centres"])

    @router.get("/admin/centres", summary="The centres that one sees")
    def list_centres(caller: Operator) -> list[Centre]:
        with gateway.transaction() as session:
            rows = session.scalars(select(CentreRow).order_by(CentreRow.name))
            return [Centre.of(row) for row in rows if caller.sees(row.name)]

    @router.post("/admin/centres", summary="Make a centre", status_code=201)
    def create_centre(request: Request, given: NewCentre, caller: Admin) -> Centre:
        """For administrators of all centres."""
        require_all_centres(caller)
        with gateway.transaction() as session:
            row = users.create_centre(session, given.name, given.title)
            gateway.trail.add(session, origin_of(request), "centre.created", by=caller, target=f"centre {row.name}")
            return Centre.of(row)

    return router
