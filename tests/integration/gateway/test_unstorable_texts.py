"""Whatever is typed, the answer is a refusal and never a failure of the service, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from sqlalchemy import Engine

from tests.gateways import PASSWORD, make_gateway

ODD = ["\x00", "a\x00b", "x" * 150, "\u202e\u0000", "' OR 1=1 --", "%00"]
PLACES = (
    ("POST", "/auth/session", {"username": None, "password": "x"}),
    ("POST", "/auth/session", {"username": "admin", "password": None}),
    ("POST", "/admin/users", {"name": None, "role": "viewer", "centre": "default"}),
    ("POST", "/admin/keys", {"name": None, "centre": "default"}),
    ("POST", "/admin/keys", {"name": "x", "centre": "default", "use_cases": [None]}),
    ("POST", "/admin/centres", {"name": "north", "title": None}),
    ("POST", "/admin/freeze", {"reason": None}),
    ("POST", "/admin/retrainings", {"use_case": None}),
)
PATHS = ("/admin/retrainings/{}", "/admin/models/{}", "/admin/audit?actor={}", "/admin/audit?action={}")


def _filled(body: Any, text: str) -> Any:
    if isinstance(body, dict):
        return {key: _filled(value, text) for key, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, text) for value in body]
    return text if body is None else body


def test_odd_texts_are_refused_or_taken(engine: Engine, tmp_path: Path) -> None:
    app = make_gateway(tmp_path, engine)

    async def ask() -> list[tuple[str, str, int]]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://vigie.test") as client:
            form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
            token = (await client.post("/auth/token", data=form)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            found = []
            for text in ODD:
                for grant in (form | {"username": text}, {"grant_type": text}):
                    answer = await client.post("/auth/token", data=grant)
                    found.append((text, "/auth/token", answer.status_code))
                for method, path, body in PLACES:
                    answer = await client.request(method, path, json=_filled(body, text), headers=headers)
                    found.append((text, path, answer.status_code))
                for path in PATHS:
                    answer = await client.get(path.format(quote(text, safe="")), headers=headers)
                    found.append((text, path, answer.status_code))
            surrogate = b'{"username": "\\ud800", "password": "\\ud800"}'
            json = {"Content-Type": "application/json"}
            answer = await client.post("/auth/session", content=surrogate, headers=json)
            return [*found, ("surrogate", "/auth/session", answer.status_code)]

    assert [failed for failed in asyncio.run(ask()) if failed[2] >= 500] == []
