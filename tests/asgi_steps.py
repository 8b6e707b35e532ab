"""Notes in which steps of the event loop an application sends its answers."""

from __future__ import annotations

import asyncio
from typing import Any

HEAD, BODY, NEXT_STEP = "http.response.start", "http.response.body", "next step"


class Steps:
    """An application around another one; ``seen`` is what was sent, and where the loop took its next step."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            if message["type"] == HEAD:
                asyncio.get_running_loop().call_soon(self.seen.append, NEXT_STEP)
            self.seen.append(message["type"])
            await send(message)

        await self._app(scope, receive, noted if scope["type"] == "http" else send)
