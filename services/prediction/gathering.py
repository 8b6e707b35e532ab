"""Calls that arrive at the same moment share one prediction.

A prediction is some two hundred NumPy calls and a walk through all trees whatever the number of rows, so eight
calls cost little more than two. No time is spent waiting: as long as each turn of the event loop brings new
calls they are gathered, and the first turns without any are when they are answered. Single rows and batches are
equal bit for bit, so nobody can tell from an answer.
"""

from __future__ import annotations

import asyncio

from services.prediction.answering import Answered, Answering, Call

MOST = 32
"""More than these are answered in turns, so that other requests are not held up."""
QUIET_TURNS = 2


class Gathering:
    """Belongs to one event loop."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._waiting: list[tuple[Call, asyncio.Future[Answered]]] = []
        self._seen = 0
        self._quiet_turns = 0

    async def answer(self, call: Call) -> Answered:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answered] = loop.create_future()
        self._waiting.append((call, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._look, loop)
        return await future

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a turn: answer if nobody has come for two turns (what a turn reads from the network
        runs in the next), or if many wait."""
        waiting = len(self._waiting)
        self._quiet_turns = self._quiet_turns + 1 if waiting == self._seen else 0
        self._seen = waiting
        if self._quiet_turns >= QUIET_TURNS or waiting >= MOST:
            self._answer_waiting()
        if self._waiting:
            loop.call_soon(self._look, loop)

    def _answer_waiting(self) -> None:
        now, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        self._seen = self._quiet_turns = 0
        try:
            answers = self._answering.together([call for call, _ in now])
        except Exception as error:  # noqa: BLE001 - each of the waiting requests reports it as its own
            for _, future in now:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(now, answers, strict=True):
            # A caller that hung up has cancelled its future.
            if not future.done():
                future.set_result(answer)
