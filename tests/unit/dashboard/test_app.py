"""The dashboard's script, run by Streamlit's own test harness: nobody signed in, and nobody to ask."""

from __future__ import annotations

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from services.core.settings import CHECKOUT
from services.dashboard import settings as settings_module

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
