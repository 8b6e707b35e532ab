"""Putting use cases in service, one desk each. One that cannot be is told of and left out: the others are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import structlog
from fastapi import APIRouter

from services.core.usecases import registry as declared
from services.core.usecases.contract import ContextSource, UseCase
from services.prediction.answering import Answering
from services.prediction.calls_log import CallsLog
from services.prediction.champions import ChampionsFactory
from services.prediction.context import own_context
from services.prediction.counters import Counters
from services.prediction.follower import Follower, LoadModel
from services.prediction.listing import listing_router
from services.prediction.outcomes import outcomes_router
from services.prediction.routes import calls_router
from services.prediction.settings import PredictionSettings
from services.prediction.slots import Slot
from services.prediction.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Routers:
    calls: APIRouter
    outcomes: APIRouter
    lists: APIRouter


@dataclass(frozen=True, slots=True)
class Desk:
    """One use case in service."""

    answering: Answering
    follower: Follower
    slot: Slot
    context: ContextSource
    routers: Routers

    def start(self) -> None:
        try:
            self.context.start()
        except Exception as error:  # noqa: BLE001 - a use case's own code; its calls are answered without
            log.error("context does not start", use_case=self.answering.use_case.name, reason=str(error))
        self.follower.start()


@dataclass(frozen=True, slots=True)
class Opening:
    """What every desk is made from."""

    settings: PredictionSettings
    champions: ChampionsFactory
    counters: Counters
    calls: CallsLog
    context: Mapping[str, ContextSource]
    load: LoadModel
    clock: Callable[[], float]
    broken: list[str] = field(default_factory=list)

    def every(self, use_cases: Sequence[UseCase] | None) -> dict[str, Desk]:
        """Desks of ``use_cases``, which all have to open; without them those of all declared ones that can be,
        and the others' names in ``broken``."""
        threads = self.settings.prediction_background_threads
        background, lists = anyio.CapacityLimiter(threads), anyio.CapacityLimiter(threads)
        desks = {}
        for use_case in declared.every() if use_cases is None else use_cases:
            try:
                desks[use_case.name] = self._desk(use_case, background, lists)
            except Exception as error:
                if use_cases is not None:
                    raise
                self.broken.append(use_case.name)
                log.exception("use case skipped", use_case=use_case.name, reason=f"{type(error).__name__}: {error}")
        return desks

    def _desk(self, use_case: UseCase, background: anyio.CapacityLimiter, lists: anyio.CapacityLimiter) -> Desk:
        settings = self.settings
        slot = Slot(settings.prediction_confirmed_seconds, self.clock)
        source = self.context.get(use_case.name) or own_context(use_case, settings)
        follower = Follower(
            use_case,
            slot,
            Store(settings.home.serving(use_case.name)),
            self.champions,
            self.counters,
            seconds=settings.alias_poll_seconds,
            load=self.load,
            clock=self.clock,
        )
        answering = Answering(use_case, slot, source, self.counters, settings.prediction_batch_rows)
        routers = Routers(
            calls_router(answering, self.calls.recorder(use_case), settings, background),
            outcomes_router(use_case, self.calls.journal, settings, background),
            listing_router(use_case, self.calls.database, settings, lists),
        )
        return Desk(answering, follower, slot, source, routers)
