"""HTTP clients of the prediction API, with one API key per centre, and of the gateway, which issues those keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from services.core.auth.service_credentials import service_headers
from services.core.errors import UnavailableError
from services.core.headers import API_KEY_HEADER, CALL_KIND_HEADER, ON_BEHALF_OF_HEADER, SIMULATED
from services.simulator.call_generator import SimulatedCall
from services.simulator.outcome_reports import OutcomeReport

KEYS_PATH = "/internal/simulator/keys"
_KEYS_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class CentreKeys:
    """Temporary API keys, one per centre."""

    ids: tuple[str, ...]
    texts: dict[str, str]
    """Centre -> API key."""


class CentreKeyClient:
    """Issues and revokes temporary API keys through the gateway."""

    def __init__(self, url: str, token: SecretStr) -> None:
        self._url = url
        self._headers = service_headers(token.get_secret_value(), "simulator", "gateway")

    async def make(self, centres: Sequence[str], minutes: int, on_behalf_of: str) -> CentreKeys:
        """Issue temporary API keys.

        Raises:
            UnavailableError: the gateway does not issue keys at present.
        """
        body = {"centres": list(centres), "minutes": minutes}
        answer = await self._ask("POST", {**self._headers, ON_BEHALF_OF_HEADER: on_behalf_of}, body)
        keys = answer.json()["keys"]
        return CentreKeys(tuple(key["id"] for key in keys), {key["centre"]: key["text"] for key in keys})

    async def end(self, keys: CentreKeys) -> None:
        """Revoke the keys before they expire.

        Raises:
            UnavailableError: the gateway does not revoke keys at present.
        """
        await self._ask("DELETE", self._headers, {"ids": list(keys.ids)})

    async def _ask(self, method: str, headers: dict[str, str], body: dict[str, object]) -> httpx.Response:
        try:
            async with httpx.AsyncClient(base_url=self._url, timeout=_KEYS_TIMEOUT_SECONDS, trust_env=False) as client:
                return (await client.request(method, KEYS_PATH, json=body, headers=headers)).raise_for_status()
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"The gateway gives the simulator no keys ({type(error).__name__}).",
                action="See that the gateway runs, then try again.",
            ) from error


CALL_TIMEOUT_SECONDS = 10.0
MAX_CONNECTIONS = 256
KEEPALIVE_SECONDS = 2.0
"""Idle connections are closed after this time; the server closes them after five seconds, which could lose a call."""


class PlatformClient:
    """HTTP client of the prediction API. ``keys`` is centre -> API key; without keys callers send no credential."""

    def __init__(self, url: str, keys: Mapping[str, str], transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._keys = keys
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=CALL_TIMEOUT_SECONDS,
            limits=httpx.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                keepalive_expiry=KEEPALIVE_SECONDS,
            ),
            trust_env=False,  # no proxy in the platform's internal network
            transport=transport,
        )

    async def call(self, call: SimulatedCall) -> tuple[int | str, Any]:
        """HTTP status and the response's JSON; without a response, the name of the error."""
        headers = {**self._key(call.centre), **call.headers}
        sent = [(name, value) for name, value in headers.items() if value]
        try:
            answer = await self._client.post(call.path, content=call.body, headers=sent)
            return answer.status_code, answer.json() if answer.is_success else None
        except httpx.HTTPError as error:
            return type(error).__name__, None
        except ValueError:
            return "NoJSON", None

    async def report(self, use_case: str, centre: str, reports: Sequence[OutcomeReport]) -> int | str:
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

    async def is_key_known(self, centre: str) -> bool:
        """Whether the platform accepts the centre's key yet."""
        try:
            return (await self._client.get("/v1/use-cases", headers=self._key(centre))).is_success
        except httpx.HTTPError:
            return False

    async def close(self) -> None:
        await self._client.aclose()

    def _key(self, centre: str) -> dict[str, str]:
        return {API_KEY_HEADER: self._keys[centre]} if centre in self._keys else {}
