"""Recent days of all stations as context for predictions, followed in the background from what ingestion stored."""

from __future__ import annotations

from services.core.contract.use_case import ContextSource
from services.core.published_context import PublishedContextSource
from services.core.settings import Settings
from services.use_cases.rain_tomorrow import history

DAYS = 400
"""Days that are held in memory: a call may be about any day of the last year."""
NAME = __package__.rpartition(".")[2]


def source(settings: Settings) -> ContextSource | None:
    """The context source; None where there is none."""
    return PublishedContextSource(
        NAME,
        settings.published_home,
        settings.home,
        keep=lambda arrays: history.latest_days(arrays, DAYS),
        missing="The stations' last days are not known: the answer rests on the request alone.",
    )
