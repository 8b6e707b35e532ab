"""Which parts of the core have tables."""

from __future__ import annotations

import importlib

PARTS: tuple[str, ...] = ("access", "alerts", "calls", "jobs", "monitoring")
"""Each has ``services.core.<part>.tables`` and the migration branch ``<part>``."""


def import_tables() -> None:
    """Put every part's tables into the metadata."""
    for part in PARTS:
        importlib.import_module(f"services.core.{part}.tables")
