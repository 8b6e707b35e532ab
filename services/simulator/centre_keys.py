"""API keys for the simulated centres: the gateway makes short-lived ones for this service's credential, and only for
centres whose name says that they are simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from services.core.errors import UnavailableError
from services.core.headers import ON_BEHALF_OF_HEADER, service_headers

PATH = "/internal/simulator/keys"
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class CentreKeys:
    ids: tuple[str, ...]
    texts: dict[str, str]
    """Centre -> key."""


class KeySource:
    def __init__(self, url: str, token: SecretStr) -> None:
        self._url = url
        self._headers = service_headers(token.get_secret_value(), "simulator")

    async def make(self, centres: Sequence[str], minutes: int, on_behalf_of: str) -> CentreKeys:
        """
        Raises:
            UnavailableError: the gateway does not make any now.
        """
        body = {"centres": list(centres), "minutes": minutes}
        answer = await self._ask("POST", {**self._headers, ON_BEHALF_OF_HEADER: on_behalf_of}, body)
        keys = answer.json()["keys"]
        return CentreKeys(tuple(key["id"] for key in keys), {key["centre"]: key["text"] for key in keys})

    async def end(self, keys: CentreKeys) -> None:
        """Revoke them before they expire by themselves.

        Raises:
            UnavailableError: the gateway does not do it now.
        """
        await self._ask("DELETE", self._headers, {"ids": list(keys.ids)})

    async def _ask(self, method: str, headers: dict[str, str], body: dict[str, object]) -> httpx.Response:
        try:
            async with httpx.AsyncClient(base_url=self._url, timeout=_SECONDS, trust_env=False) as client:
                return (await client.request(method, PATH, json=body, headers=headers)).raise_for_status()
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"The gateway gives the simulator no keys ({type(error).__name__}).",
                action="See that the gateway runs, then try again.",
            ) from error
