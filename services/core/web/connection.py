"""The HTTP connection of every service: single-write responses, and limits of what one connection may cost.

uvicorn writes a response's head and body to the socket separately. A replica that is killed in between has started a
response, which the edge can no longer retry on another replica, and the call is lost.
``ServiceProtocol`` sends everything that a request writes in one event-loop turn at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from httptools import HttpParserError
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.core.web.errors import error_detail

GRACE_SECONDS = 5
"""Seconds that requests in progress get at shutdown."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may cost, and how many there may be."""

    connections: int = 1_000
    header_bytes: int = 65_536
    """The edge passes on 32 KB and adds its own."""
    headers: int = 100
    head_seconds: float = 15.0
    """From the connection's start to the end of its first head, and from the first byte of a head to its last."""
    body_seconds: float = 40.0
    """From the first byte of a request to its last, while the service reads. The edge allows 30."""
    idle_seconds: int = 150
    """Longer than any client of ours keeps an idle connection: the one that closes it must be the client, or the next
    request meets a closed connection. The edge's ``keepalive`` is shorter."""
    stalled_seconds: float = 30.0
    """A client that takes less than ``stalled_bytes`` of its response in this time is cut off."""
    stalled_bytes: int = 65_536


_REFUSALS = {
    408: (b"Request Timeout", "The request did not arrive whole in time.", "all of it within {0.body_seconds:g} s"),
    431: (
        b"Request Header Fields Too Large",
        "The headers are too large or too many.",
        "{0.headers} headers, {0.header_bytes} bytes",
    ),
    503: (b"Service Unavailable", "Too many connections are open.", "{0.connections} connections"),
}


class ServiceProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a transport that buffers writes, and with ``ConnectionLimits``.

    The request's scope gets ``caller_gone``, an ``asyncio.Event`` that is set once nobody waits for the response. A
    client that only ends its sending half after a whole request counts as gone and still gets its response, if the
    work is done: the two look the same until something is written.
    """

    def __init__(self, *args: Any, limits: ConnectionLimits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._caller_gone = asyncio.Event()
        self._receiving = True
        """Whether a request is to arrive: the first one, and each whose first byte is here until its last is."""
        self._in_head = True
        self._head_bytes = 0
        """Of the pieces that arrived and did not end the head."""
        self._field_bytes = self._fields = 0
        self._refused = 400
        self._deadline: asyncio.TimerHandle | None = None
        self._waiting_since = 0.0
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_BufferedTransport(transport, self.loop))  # type: ignore[arg-type]
        self._arm(self._limits.head_seconds)
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._stalled is not None:
            self._stalled.cancel()
        self._caller_gone.set()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection if a whole request waits for its response."""
        if self._receiving or self.cycle is None or self.cycle.response_complete:
            self.transport.close()  # the event loop would close its own transport and lose what is buffered here
            return False
        self.cycle.keep_alive = False
        self._caller_gone.set()
        return True

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
        if self._in_head and self._head_bytes > self._limits.header_bytes:
            self._refuse(431)
        elif self._receiving and self._deadline is None:
            self._arm(self._limits.head_seconds if self._in_head else self._limits.body_seconds)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["caller_gone"] = self._caller_gone  # type: ignore[typeddict-unknown-key]
        self._receiving = self._in_head = True
        self._head_bytes = self._field_bytes = self._fields = 0

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        self._count_head(len(name) + len(value))
        if self._in_head:  # what comes after the body is no header
            # Blanks around a value are no part of it (RFC 9110, 5.5); the parser leaves those behind it.
            super().on_header(name, value.strip(b" \t"))

    def _count_head(self, size: int) -> None:
        self._field_bytes += size
        if self._fields > self._limits.headers or self._field_bytes > self._limits.header_bytes:
            self._refused = 431
            raise HttpParserError  # answered by send_400_response

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._receiving = False
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._refused == 400:
            super().send_400_response(msg)
        else:
            self._refuse(self._refused)

    def shutdown(self) -> None:
        super().shutdown()
        if self._receiving and not self.transport.is_closing():
            self._disarm()
            self._arm(GRACE_SECONDS / 2)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._watch_progress(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _watch_progress(self, waiting: int) -> None:
        def check() -> None:
            left = self.transport.get_write_buffer_size()
            if waiting - left < min(self._limits.stalled_bytes, waiting):
                self.transport.abort()
            else:
                self._watch_progress(left)

        self._stalled = self.loop.call_later(self._limits.stalled_seconds, check)

    def _arm(self, seconds: float) -> None:
        self._waiting_since = self.loop.time()
        self._deadline = self.loop.call_later(seconds, self._cut_off, seconds)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self, seconds: float) -> None:
        """The request is not whole in time. Time in which the service itself did not read does not count."""
        self._deadline = None
        if self.flow.read_paused and not self._in_head and self.cycle is not None and not self.cycle.response_complete:
            self._arm(seconds)
        else:
            self._refuse(408)

    def _make_room(self) -> None:
        """Cut off the connection that has been without a whole request for longest; without any, refuse this one."""
        waiting = [other for other in self.connections if isinstance(other, ServiceProtocol) and other._deadline]
        oldest = min(waiting, key=lambda other: other._waiting_since)
        oldest._refuse(503 if oldest is self else 408)

    def _refuse(self, status: int) -> None:
        """Answer, where no response has begun, and close."""
        self._disarm()
        if self.transport.is_closing():
            return
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not begun and (self._head_bytes or self._field_bytes or status != 408):
            phrase, reason, allowed = _REFUSALS[status]
            fault = error_detail(
                phrase.decode().lower().replace(" ", "_"), reason, allowed=allowed.format(self._limits)
            )
            body = to_json({"errors": [fault], "request_id": ""})
            again = b"retry-after: 1\r\n" if status == 503 else b""
            head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%bconnection: close"
            self.transport.write(head % (status, phrase, len(body), again) + b"\r\n\r\n" + body)
        self.transport.close()


class _BufferedTransport:
    """A transport that buffers writes until the end of the current event-loop turn.

    The flush runs in the next turn, before the loop waits for I/O; this saves the second system call of every
    response. Everything but writing and closing is delegated to the real transport.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces:
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
