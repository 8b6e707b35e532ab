"""Runs simulations as asyncio tasks and stores the last finished ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.core.errors import ConflictError, NotFoundError
from services.simulator.plan import SimulationPlan
from services.simulator.simulation import Simulation

MAX_FINISHED = 20
"""Finished simulations that can still be queried."""


class SimulationRunner:
    """Starts, lists and stops simulations.

    Args:
        make: creates a simulation from a plan and the name of who requested it.
        together: maximum number of concurrent simulations.
    """

    def __init__(self, make: Callable[[SimulationPlan, str], Simulation], together: int) -> None:
        self._make = make
        self._together = together
        self._all: dict[str, tuple[Simulation, asyncio.Task[None]]] = {}

    def start(self, plan: SimulationPlan, asked_by: str) -> Simulation:
        """Start a simulation.

        Raises:
            ConflictError: the maximum number of simulations is running.
        """
        running = [simulation for simulation, _ in self._all.values() if not simulation.over]
        if len(running) >= self._together:
            raise ConflictError(
                f"{len(running)} simulations run already.",
                expected=f"at most {self._together} at the same time",
                action="Wait, or stop one of them.",
            )
        simulation = self._make(plan, asked_by)
        self._all[plan.id] = (simulation, asyncio.create_task(simulation.run()))
        over = [old for old, (each, _) in self._all.items() if each.over]
        for old in over[: max(0, len(over) - MAX_FINISHED)]:
            del self._all[old]
        return simulation

    def listed(self) -> list[Simulation]:
        """All simulations, newest first."""
        return [simulation for simulation, _ in reversed(self._all.values())]

    def get(self, id: str) -> Simulation:
        """Look up a simulation.

        Raises:
            NotFoundError: it does not exist or was discarded.
        """
        if id not in self._all:
            raise NotFoundError("There is no such simulation (any more).", action="GET /simulations lists them.")
        return self._all[id][0]

    async def stop(self, id: str) -> Simulation:
        """Stop a simulation; nothing is sent after this returns.

        Raises:
            NotFoundError: it does not exist.
        """
        simulation = self.get(id)
        task = self._all[id][1]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not simulation.over:
            simulation.mark_not_started()
        return simulation

    async def stop_all(self) -> None:
        for each in list(self._all):
            await self.stop(each)
