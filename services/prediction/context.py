"""What comes from outside at call time (weather, a station's last days): a snapshot in memory that is
refreshed off the request path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class NoContext:
    """The source of use cases that need nothing from outside."""

    _EMPTY: Mapping[str, Any] = {}

    def start(self) -> None:
        """Nothing to begin with."""

    def stop(self) -> None:
        """Nothing to end."""

    def snapshot(self) -> Mapping[str, Any]:
        return self._EMPTY

    def warning(self) -> str | None:
        return None
