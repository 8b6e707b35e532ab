"""Work beside single predictions: a bounded number of requests, none of which is begun once its caller is gone.

A request has its place before its body is read and until its response is sent, so that bodies and responses in memory
are bounded too."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeVar

import anyio.to_thread
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from services.core.web.errors import http_error
from services.prediction.log.prediction_log import call_origin_of

T = TypeVar("T")
RETRY_SECONDS = 5
log = structlog.get_logger(__name__)


def is_caller_gone(scope: Scope) -> bool:
    """Whether nobody waits for the response; may be asked in a thread."""
    gone: asyncio.Event | None = scope.get("caller_gone")
    return gone is not None and gone.is_set()


def require_caller(scope: Scope) -> None:
    """Called before work and between its parts.

    Raises:
        ClientDisconnect: nobody waits for the response.
    """
    if is_caller_gone(scope):
        raise ClientDisconnect


class BackgroundWork:
    """Runs the work of requests in ``threads`` threads; ``waiting`` more requests may wait for one, half of all of one
    caller.

    Args:
        name: Of the work, for people and logs.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._name = name
        self._places = threads + waiting
        self._held: Counter[tuple[str, str]] = Counter()
        self._turns = asyncio.Semaphore(threads)
        self._threads = anyio.CapacityLimiter(threads)

    def enter(self, request: Request) -> None:
        """Take a place until the response is sent.

        Raises:
            HttpError: 503, all places or all that one caller may have are taken.
        """
        origin = call_origin_of(request.scope)
        caller = (origin.kind, origin.id)
        if self.held >= self._places or self._held[caller] >= max(1, self._places // 2):
            log.warning("too much waits", work=self._name, request_id=request.scope["request_id"])
            raise http_error(
                503,
                "busy",
                f"Too many {self._name} wait already.",
                action="Send it again after a moment. Single calls are answered meanwhile.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        self._held[caller] += 1
        # FastAPI closes this stack once the response is sent, or not sent for whatever reason.
        stack: AsyncExitStack = request.scope["fastapi_inner_astack"]
        stack.callback(self._leave, caller)

    @property
    def held(self) -> int:
        """Places that are taken."""
        return self._held.total()

    def _leave(self, caller: tuple[str, str]) -> None:
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]

    async def run(self, scope: Scope, work: Callable[[], T]) -> T:
        """Run ``work`` in a thread once one is free. ``work`` itself asks ``require_caller`` where it takes long.

        Raises:
            ClientDisconnect: the caller was gone before it began.
        """
        try:
            await self._wait_for_turn(scope.get("caller_gone"))
            try:
                require_caller(scope)
                return await anyio.to_thread.run_sync(work, limiter=self._threads)
            finally:
                self._turns.release()
        except ClientDisconnect:
            log.info("caller gone", work=self._name, request_id=scope["request_id"])
            raise

    async def _wait_for_turn(self, gone: asyncio.Event | None) -> None:
        if gone is None or not self._turns.locked():
            await self._turns.acquire()
            return
        turn = asyncio.ensure_future(self._turns.acquire())
        leaving = asyncio.ensure_future(gone.wait())
        try:
            await asyncio.wait({turn, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not turn.done():
                turn.cancel()
        if turn.cancelled() or turn.cancelling():
            raise ClientDisconnect
