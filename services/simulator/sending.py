"""Sends calls and reports to the platform, as control rooms do: over HTTP, each centre with its own key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from services.core.calls.kinds import SIMULATED
from services.core.headers import API_KEY_HEADER, CALL_KIND_HEADER
from services.simulator.calls import Call
from services.simulator.reports import Report

ANSWER_SECONDS = 10.0
MOST_CONNECTIONS = 256
IDLE_SECONDS = 2.0
"""The server closes connections that were idle for five; a call that is just then on its way would be lost."""


class Line:
    """The way to the platform. ``keys`` is centre -> API key; without one callers show nothing."""

    def __init__(self, url: str, keys: Mapping[str, str], transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._keys = keys
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=ANSWER_SECONDS,
            limits=httpx.Limits(
                max_connections=MOST_CONNECTIONS,
                max_keepalive_connections=MOST_CONNECTIONS,
                keepalive_expiry=IDLE_SECONDS,
            ),
            trust_env=False,  # inside the platform's own network there is no proxy
            transport=transport,
        )

    async def call(self, call: Call) -> tuple[int | str, Any]:
        """The status and the answer's JSON; where no answer came, the name of what went wrong."""
        headers = {**self._key(call.centre), **call.headers}
        sent = [(name, value) for name, value in headers.items() if value]
        try:
            answer = await self._client.post(call.path, content=call.body, headers=sent)
            return answer.status_code, answer.json() if answer.is_success else None
        except httpx.HTTPError as error:
            return type(error).__name__, None
        except ValueError:
            return "NoJSON", None

    async def report(self, use_case: str, centre: str, reports: Sequence[Report]) -> int | str:
        now = datetime.now(UTC)
        outcomes = [
            {
                "request_id": report.request_id,
                "happened_at": min(report.happened_at, now).isoformat(),
                "labels": report.labels,
                "simulated": True,
            }
            for report in reports
        ]
        headers = {**self._key(centre), CALL_KIND_HEADER: SIMULATED}
        try:
            answer = await self._client.post(f"/v1/{use_case}/outcomes", json={"outcomes": outcomes}, headers=headers)
        except httpx.HTTPError as error:
            return type(error).__name__
        return answer.status_code

    async def admitted(self, centre: str) -> bool:
        """Whether the platform knows the centre's key by now."""
        try:
            return (await self._client.get("/v1/use-cases", headers=self._key(centre))).is_success
        except httpx.HTTPError:
            return False

    async def close(self) -> None:
        await self._client.aclose()

    def _key(self, centre: str) -> dict[str, str]:
        return {API_KEY_HEADER: self._keys[centre]} if centre in self._keys else {}
