"""The gateway's door for the dashboard's server: codes for browsers, fresh tokens, and ends of sign-ins."""

from __future__ import annotations

from typing import Any

import httpx
import streamlit as st

from services.core.headers import service_headers
from services.dashboard.client import request
from services.dashboard.settings import settings

_QUICKLY = httpx.Timeout(8.0, connect=1.5)


def entry_code(username: str, password: str) -> str:
    """
    Raises:
        SessionOverError: name or password is not right.
        RefusedError: 429, too many tries; its reason says how long to wait.
        AwayError: the gateway does not answer.
    """
    body = {"username": username, "password": password, "address": _address()}
    code: str = _ask("/internal/entries", body)["code"]
    return code


def fresh_token(token: str) -> dict[str, Any]:
    """
    Raises:
        SessionOverError: the sign-in has ended.
        AwayError: the gateway does not answer.
    """
    found: dict[str, Any] = _ask("/internal/session-tokens", {"token": token})
    return found


def end_session(token: str) -> None:
    """
    Raises:
        AwayError: the gateway does not answer.
    """
    _ask("/internal/session-ends", {"token": token, "address": _address()})


def _ask(path: str, body: dict[str, str]) -> Any:
    chosen = settings()
    assert chosen.service_token is not None, "the dashboard does not start without one"
    headers = service_headers(chosen.service_token.get_secret_value(), "dashboard")
    answer = request("POST", "gateway", chosen.gateway + path, body=body, headers=headers, timeout=_QUICKLY)
    return answer.json() if answer.content else None


def _address() -> str:
    """The browser's address, as the edge tells it."""
    forwarded = st.context.headers.get("X-Forwarded-For", "")
    return (forwarded.rpartition(",")[2].strip() or st.context.ip_address or "")[:80]
