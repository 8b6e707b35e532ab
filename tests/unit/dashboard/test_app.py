"""The dashboard's script, run by Streamlit's own test harness: nobody signed in, and nobody to ask."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from services.core.settings import CHECKOUT
from services.dashboard import settings as settings_module
from services.dashboard import upload_gate

APP = CHECKOUT / "services" / "dashboard" / "script" / "app.py"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """Whose gateway is nowhere, before a browser without cookies."""
    for name, value in {"cookies": {}, "headers": {}, "url": "", "ip_address": None, "locale": "en-GB"}.items():
        monkeypatch.setattr(type(st.context), name, property(lambda _, value=value: value))
    monkeypatch.setenv("VIGIE_GATEWAY_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("VIGIE_SERVICE_TOKEN", "service-token-of-the-dashboard-tests")
    settings_module.settings.cache_clear()
    return AppTest.from_file(str(APP), default_timeout=60)


def uploads(stored: dict[str, int], *asked: tuple[str, dict[bytes, bytes]], seconds: float = 5.0) -> list[int]:
    """Statuses of uploads that are sent at once to sessions; the application reads a body to its end."""
    statuses: list[int] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})

    gate = upload_gate.UploadGate(application, per_session=30, in_all=50, seconds=seconds, stored=lambda: stored)

    async def one(session: str, headers: dict[bytes, bytes]) -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(float(headers.get(b"x-seconds", b"0")))
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        path = f"/_stcore/upload_file/{session}/file"
        scope = {"type": "http", "method": "PUT", "path": path, "headers": list(headers.items())}
        await gate(scope, receive, send)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(*each) for each in asked))

    asyncio.run(all_of_them())
    return sorted(statuses)


def test_uploads_are_of_signed_in_sessions_alone_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_gate, "_signed_in", {"a", "b"})
    ten = {b"content-length": b"10", b"x-seconds": b"0.05"}
    assert uploads({}, ("c", ten)) == [401]
    assert uploads({}, ("a", {})) == [411]
    assert uploads({}, *[("a", ten)] * 4) == [204, 204, 204, 413], "what is under way counts"
    assert uploads({"a": 25}, ("a", ten), ("b", ten)) == [204, 413], "and what is stored"
    assert uploads({"c": 45}, ("a", ten)) == [503]
    assert uploads({}, ("a", ten), seconds=0.01) == [408]


def test_without_a_sign_in_there_is_the_form_and_no_page(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert [field.label for field in app.text_input] == ["User name", "Password"]
    assert not app.sidebar.button


def test_the_form_says_what_is_missing_and_that_the_gateway_is_away(app: AppTest) -> None:
    app.run()
    app.button[0].click().run()
    assert any("Give a user name and a password" in said.body for said in app.get("html"))
    app.text_input[0].input("vera")
    app.text_input[1].input("a long password")
    app.button[0].click().run()
    assert not app.exception
    assert [button.label for button in app.button][-1] == "Try again"
