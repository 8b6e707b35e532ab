"""Nothing is done before its consequence was shown and confirmed."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    """A page with one action, as Streamlit runs it."""
    import streamlit as st

    from services.core.auth.principal import Role
    from services.core.messages import Formats, Translator
    from services.dashboard.api.client import RequestRejectedError, ServiceUnavailableError
    from services.dashboard.components.feedback import ConfirmedAction, confirm_button, last_result
    from services.dashboard.session import Session, User

    user = User("u-1", "ada", Role.ADMIN, "north", None, None)
    session = Session(user, Translator("en"), Formats("en"), None, False)  # type: ignore[arg-type]

    def do(reason: str, key: str) -> str:
        st.session_state.setdefault("done", []).append((reason, key))
        if reason == "refuse":
            raise RequestRejectedError(409, [{"field": "", "reason": "Promotions are frozen."}])
        if reason == "away":
            raise ServiceUnavailableError("gateway")
        return "It was done."

    last_result()
    confirm_button(session, ConfirmedAction("a", "Do it", "Really?", "Calls change.", do, reason="Why", least=3))


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(page, default_timeout=20).run()


def _press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def _html(app: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in app.get("html"))


def test_the_first_press_asks_and_does_nothing(app: AppTest) -> None:
    _press(app, "offer-a")
    assert "Calls change." in _html(app)
    assert "done" not in app.session_state


def test_no_takes_the_question_back(app: AppTest) -> None:
    _press(app, "offer-a")
    _press(app, "no-a")
    assert "Calls change." not in _html(app)
    assert "done" not in app.session_state


def test_yes_needs_the_reason_that_was_asked_for(app: AppTest) -> None:
    _press(app, "offer-a")
    _press(app, "yes-a")
    assert "Please say why" in _html(app)
    assert "done" not in app.session_state


def test_yes_acts_once_says_what_came_of_it_and_forgets_the_question(app: AppTest) -> None:
    _press(app, "offer-a")
    app.text_input(key="reason-a").set_value("  it is better ")
    _press(app, "yes-a")
    assert [reason for reason, _ in app.session_state["done"]] == ["it is better"]
    assert "It was done." in _html(app)
    app.run()
    assert "It was done." not in _html(app), "it is said once"


def test_a_refusal_is_said_in_its_own_words_and_the_next_try_is_another_request(app: AppTest) -> None:
    _press(app, "offer-a")
    app.text_input(key="reason-a").set_value("refuse")
    _press(app, "yes-a")
    assert "Promotions are frozen." in _html(app)
    _press(app, "yes-a")
    first, second = (key for _, key in app.session_state["done"])
    assert first != second


def test_where_nobody_answered_the_next_try_is_the_same_request(app: AppTest) -> None:
    """It may have been done: the same key does it once."""
    _press(app, "offer-a")
    app.text_input(key="reason-a").set_value("away")
    _press(app, "yes-a")
    assert "does not answer" in _html(app)
    _press(app, "yes-a")
    first, second = (key for _, key in app.session_state["done"])
    assert first == second
