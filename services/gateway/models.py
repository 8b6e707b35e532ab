"""What the registry knows of a use case's models. MLflow is imported when it is first asked: it takes seconds, and
signing in does not wait for it."""

from __future__ import annotations

from typing import Any

from services.core.errors import UnavailableError, VigieError
from services.core.registry.client import Registry
from services.core.registry.version import Version
from services.core.settings import Settings

SECONDS = 5.0


def versions_of(settings: Settings, use_case: str) -> list[Version]:
    """All versions, newest first.

    Raises:
        UnavailableError: the registry does not answer.
    """
    try:
        return Registry(settings, patience=SECONDS).versions(use_case)
    except VigieError as error:
        raise UnavailableError(error.problem, expected=error.expected, action=error.action) from None


def described(version: Version) -> dict[str, Any]:
    names = ("number", "aliases", "created", "simulated", "bundle_hash", "run_id", "metrics", "tags")
    return {name: getattr(version, name) for name in names}
