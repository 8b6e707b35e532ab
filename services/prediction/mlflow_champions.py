"""The platform's own registry as the source of champions: apart from the rest, because nothing on the way
of a call may know MLflow."""

from __future__ import annotations

import logging

from services.core.settings import Settings
from services.prediction.champions import Champions


def core_champions(settings: Settings) -> Champions:
    """The platform's MLflow registry, which gives up within seconds where it is down: the follower tries
    again. Made in a follower's thread, because MLflow takes seconds to import."""
    from services.core.registry.client import Registry  # noqa: PLC0415

    # The follower says once that the registry is silent; the client would say it at every look.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    return Registry(settings)
