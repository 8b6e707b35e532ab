"""Limits uploads before their body is read: signed-in sessions alone, so many bytes a session, so many in all."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SECONDS = 120.0
"""Time for the whole of an upload."""
_PATH = "/_stcore/upload_file/"
_MANY = 5_000
_signed_in: set[str] = set()


def admit_session() -> None:
    """Allow uploads to the page's session, in which somebody is signed in."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return
    if len(_signed_in) > _MANY and runtime.exists():
        active = runtime.get_instance().is_active_session
        _signed_in.difference_update([session for session in tuple(_signed_in) if not active(session)])
    _signed_in.add(context.session_id)


def dismiss_session() -> None:
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None:
        _signed_in.discard(context.session_id)


def stored_bytes() -> dict[str, int]:
    """Bytes of stored uploads by session."""
    if not runtime.exists():
        return {}
    manager = runtime.get_instance().uploaded_file_mgr
    assert isinstance(manager, MemoryUploadedFileManager)
    return {
        session: sum(len(file.data) for file in tuple(files.values()))
        for session, files in tuple(manager.file_storage.items())
    }


class UploadGate:
    """ASGI middleware.

    Args:
        app: Streamlit.
        per_session: bytes of a session's uploads, stored and under way.
        in_all: the same of all sessions.
        seconds: time for the whole of an upload.
        stored: bytes of stored uploads by session.
    """

    def __init__(
        self,
        app: App,
        *,
        per_session: int,
        in_all: int,
        seconds: float = SECONDS,
        stored: Callable[[], dict[str, int]] = stored_bytes,
    ) -> None:
        self._app, self._seconds, self._stored = app, seconds, stored
        self._per_session, self._in_all = per_session, in_all
        self._lock = threading.Lock()
        self._under_way: dict[str, int] = defaultdict(int)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, found, rest = scope.get("path", "").partition(_PATH)
        if scope["type"] != "http" or not found or scope["method"] in {"OPTIONS", "DELETE"}:
            await self._app(scope, receive, send)
            return
        session = rest.partition("/")[0]
        length = dict(scope["headers"]).get(b"content-length", b"")
        if session not in _signed_in:
            await _refuse(send, 401)
        elif not length.isdigit():
            await _refuse(send, 411)
        elif status := self._begin(session, int(length)):
            await _refuse(send, status)
        else:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._app(scope, receive, send)
            except TimeoutError:
                await _refuse(send, 408)
            finally:
                with self._lock:
                    self._under_way[session] -= int(length)
                    if not self._under_way[session]:
                        del self._under_way[session]

    def _begin(self, session: str, size: int) -> int:
        """Count an upload that begins; returns the status of a refusal, 0 if it may go on."""
        with self._lock:
            stored = self._stored()
            own = stored.get(session, 0) + self._under_way.get(session, 0)
            total = sum(stored.values()) + sum(self._under_way.values())
            if own + size > self._per_session:
                return 413
            if total + size > self._in_all:
                return 503
            self._under_way[session] += size
            return 0


async def _refuse(send: Send, status: int) -> None:
    """Answer and close: the body is not read."""
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    if status == 503:
        headers.append((b"retry-after", b"60"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
