"""The one reference that a swap moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from services.prediction.models import Model
from services.prediction.schemas import Source

Clock = Callable[[], float]

BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Serving:
    """Everything that one answer is made from. A request takes it once and never looks again, so that
    no answer mixes two versions."""

    model: Model | None = None
    confirmed_at: float | None = None
    """When the registry last said that this version is the champion (the slot's clock)."""

    @property
    def version(self) -> str:
        return BASELINE if self.model is None else self.model.version

    @property
    def simulated(self) -> bool:
        return self.model is not None and self.model.simulated


class Slot:
    """Holds one use case's ``Serving``. Written by its follower alone, read by every request."""

    def __init__(self, confirmed_seconds: float, clock: Clock = time.monotonic) -> None:
        self._confirmed_seconds = confirmed_seconds
        self._clock = clock
        self.serving = Serving()

    def swap(self, model: Model, *, confirmed: bool) -> None:
        """Serve ``model`` from now on: one assignment."""
        self.serving = Serving(model, self._clock() if confirmed else None)

    def confirm(self) -> None:
        """The registry said that what is served is the champion."""
        self.serving = replace(self.serving, confirmed_at=self._clock())

    def source(self, serving: Serving) -> Source:
        """Where an answer of ``serving`` comes from at this moment."""
        if serving.model is None:
            return "baseline"
        confirmed_at = serving.confirmed_at
        if confirmed_at is None or self._clock() - confirmed_at > self._confirmed_seconds:
            return "cached"
        return "champion"
