"""Every route says who may call it, and its OpenAPI page shows it: ``x-required-role``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

REQUIRED_ROLE: Final = "x-required-role"
PUBLIC: Mapping[str, str] = {REQUIRED_ROLE: "public"}
"""Anybody may call the route."""
SERVICE: Mapping[str, str] = {REQUIRED_ROLE: "service"}
"""The platform's own services may call the route, with their credential."""
