"""Bodies are bounded before anything reads them."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core.web.faults import fault, refusal


class BodyLimit:
    """Refuses requests whose body is longer than ``limit`` bytes with 413."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if stated is not None:
            # The server itself holds a body to the length that it states.
            fits = stated.isdigit() and len(stated) <= 18 and int(stated) <= self._limit
        else:
            fits, receive = await self._read(receive)
        if fits:
            await self._app(scope, receive, send)
            return
        allowed = f"at most {self._limit} bytes"
        faults = [fault("body_too_large", "The body is too large.", allowed=allowed)]
        await refusal(413, faults, scope["request_id"])(scope, receive, send)

    async def _read(self, receive: Receive) -> tuple[bool, Receive]:
        """Whether a body of unknown length is within the limit, and what gives it out again."""
        kept: list[Message] = []
        size, more = 0, True
        while more and size <= self._limit:
            kept.append(message := await receive())
            size += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
        messages = iter(kept)

        async def again() -> Message:
            return next(messages, None) or await receive()

        return size <= self._limit, again
