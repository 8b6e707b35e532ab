"""The roles that the gateway's routes require, as annotated dependencies."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.web.authentication import requires

Viewer = Annotated[Caller, Depends(requires(Role.VIEWER))]
Operator = Annotated[Caller, Depends(requires(Role.OPERATOR))]
Admin = Annotated[Caller, Depends(requires(Role.ADMIN))]
