"""What the page Explore says."""

from __future__ import annotations

from services.core.usecases.contract import Text

WORDS: dict[str, Text] = {}
