"""Every request has an id: the caller's ``X-Request-Id`` if it is sane, else a new one."""

from __future__ import annotations

import re
from os import urandom

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core.headers import REQUEST_ID_HEADER, raw

_NAME = raw(REQUEST_ID_HEADER)
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,64}")


class RequestIds:
    """Puts ``scope["request_id"]`` there and the same id on the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = b""
        for name, value in scope["headers"]:
            if name == _NAME:
                given = value
                break
        chosen = given if _SANE.fullmatch(given) else urandom(12).hex().encode()
        scope["request_id"] = chosen.decode()

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((_NAME, chosen))
            await send(message)

        await self._app(scope, receive, with_id)
