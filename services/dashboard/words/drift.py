"""What the page Drift says."""

from __future__ import annotations

from services.core.usecases.contract import Text

WORDS: dict[str, Text] = {}
