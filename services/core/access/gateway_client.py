"""The gateway's side for other services: the access list, and what it wants to know in return."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import httpx
from pydantic import SecretStr, TypeAdapter

from services.core.access.access_list import AccessListDocument
from services.core.access.key_usage import KeyUse
from services.core.headers import service_headers

CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 5.0
ACCESS_LIST_PATH, KEY_USAGE_PATH = "/internal/access-list", "/internal/key-usage"

_USES = TypeAdapter(Sequence[KeyUse])


class ListSource(Protocol):
    def access_list(self) -> AccessListDocument: ...

    def report(self, uses: Sequence[KeyUse]) -> None: ...


class GatewayClient:
    """For one background thread. ``service`` is who asks, for the gateway's logs. Redirects are not followed:
    the credential goes to nobody else."""

    def __init__(self, url: str, token: SecretStr, service: str) -> None:
        self._url = url
        self._token = token
        self._service = service

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._url,
            headers=service_headers(self._token.get_secret_value(), self._service),
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,  # inside the platform's own network there is no proxy
        )

    def access_list(self) -> AccessListDocument:
        """
        Raises:
            httpx.HTTPError: the gateway did not answer as it should.
            ValidationError: what came is no access list.
        """
        answer = self._client.get(ACCESS_LIST_PATH).raise_for_status()
        return AccessListDocument.model_validate_json(answer.content)

    def report(self, uses: Sequence[KeyUse]) -> None:
        """
        Raises:
            httpx.HTTPError: the gateway did not take it.
        """
        body = _USES.dump_json(uses)
        self._client.post(KEY_USAGE_PATH, content=body, headers={"Content-Type": "application/json"}).raise_for_status()
