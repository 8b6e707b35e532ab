"""What comes from outside at call time (weather, a station's last days): a snapshot in memory that is
refreshed off the request path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from services.core.settings import Settings
from services.core.usecases.contract import ContextSource, UseCase


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


class BrokenContext(NoContext):
    """The source of a use case whose own one cannot be made: it is answered without, and every answer says so."""

    def warning(self) -> str | None:
        return "What this use case learns from outside is not known: its context cannot be loaded."


def own_context(use_case: UseCase, settings: Settings) -> ContextSource:
    """The use case's own source, nothing where it has none. A broken one must not keep the others from starting."""
    try:
        return use_case.context_source(settings) or NoContext()
    except Exception as error:  # noqa: BLE001 - theirs to raise what they like
        reason = f"{type(error).__name__}: {error}"
        structlog.get_logger().error("context cannot be loaded", use_case=use_case.name, reason=reason)
        return BrokenContext()
