"""What the gateway does by itself: prepare the database, rotate signing keys, forget what has run out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.core.access import freeze
from services.core.errors import VigieError
from services.gateway import attempts, refresh, revocations
from services.gateway.gateway import Gateway, prepare

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
ROUND_SECONDS = 60.0


class Caretaker:
    """``prepared`` turns true when the first look at the database succeeded: the gateway starts while the
    database is away, and is not ready until it is there."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._prepared = asyncio.Event()

    @property
    def prepared(self) -> bool:
        return self._prepared.is_set()

    async def until_prepared(self) -> None:
        await self._prepared.wait()

    async def run(self) -> None:
        """Until cancelled."""
        await self._prepare()
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await asyncio.to_thread(self.look_after)
            except (SQLAlchemyError, VigieError) as error:
                log.warning("the gateway's upkeep failed", error=type(error).__name__)

    def look_after(self) -> None:
        """One round: a signing key if it is due, and away with what has run out."""
        gateway, now = self._gateway, datetime.now(UTC)
        if gateway.signing.rotate_if_due(gateway.settings.gateway_signing_days * 86_400):
            log.info("new signing key")
        with gateway.transaction() as session:
            for part in (refresh, revocations, attempts):
                part.forget_old(session, now)
            gateway.counters.frozen.set(freeze.current(session.connection()) is not None)

    async def _prepare(self) -> None:
        said = False
        while not self.prepared:
            try:
                await asyncio.to_thread(prepare, self._gateway)
                await asyncio.to_thread(self._gateway.access.renew)
            except (SQLAlchemyError, VigieError) as error:
                if not said:
                    reason = str(error) if isinstance(error, VigieError) else type(error).__name__
                    log.error("the gateway cannot start its work", reason=reason)
                said = True
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._gateway.access.start()
            self._prepared.set()
