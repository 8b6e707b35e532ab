"""What somebody typed stays for the sign-in, in a page that Streamlit runs."""

from __future__ import annotations

import datetime as dt

import pytest
from streamlit.testing.v1 import AppTest

from services.dashboard import drafts


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> drafts.DraftStore:
    made = drafts.DraftStore()
    monkeypatch.setattr(drafts, "_STORE", made)
    return made


def _pages() -> None:
    """Two pages, of which one is drawn."""
    import streamlit as st

    from services.dashboard import drafts

    drafts.use_sign_in(st.session_state["who"])
    if st.session_state["page"] == "form":
        st.text_area("notes", key=drafts.kept("notes"))
        st.selectbox("kind", st.session_state["kinds"], key=drafts.kept("kind", st.session_state["kinds"]))
        st.number_input("seconds", value=st.session_state["reported"], key=drafts.kept("seconds", default=300))
        drafts.follow_clock({"until": st.session_state["now"]})
        st.datetime_input("until", value=None, key="until")


NOW = dt.datetime(2026, 11, 28, 11, 2)


def page(who: str = "one") -> AppTest:
    app = AppTest.from_function(_pages, default_timeout=30)
    for name, value in {"who": who, "page": "form", "kinds": ["a", "b"], "reported": 300, "now": NOW}.items():
        app.session_state[name] = value
    return app.run()


def look_away_and_back(app: AppTest) -> AppTest:
    app.session_state["page"] = "other"
    app.run()
    app.session_state["page"] = "form"
    return app.run()


def test_what_was_typed_stays_while_another_page_is_shown() -> None:
    app = page()
    app.text_area[0].set_value("Pump 3 off the run").run()
    app.selectbox[0].set_value("b").run()
    app = look_away_and_back(app)
    assert (app.text_area[0].value, app.selectbox[0].value) == ("Pump 3 off the run", "b")
    assert page().text_area[0].value == "Pump 3 off the run", "a page that is loaded again is a new session"


def test_it_is_nobody_elses_and_goes_with_the_sign_in(store: drafts.DraftStore) -> None:
    page().text_area[0].set_value("Pump 3 off the run").run()
    assert page("two").text_area[0].value == ""
    store.forget("one")
    assert page().text_area[0].value == ""


def test_a_choice_that_is_no_more_is_not_given_back() -> None:
    page().selectbox[0].set_value("b").run()
    app = page()
    app.session_state["kinds"] = ["a", "c"]
    app = look_away_and_back(app)
    assert app.selectbox[0].value == "a"


def test_a_value_that_nobody_changed_gives_way_to_a_later_one() -> None:
    app = look_away_and_back(page())
    app.session_state["reported"] = 287
    app = look_away_and_back(app)
    assert app.number_input[0].value == 287


def test_a_time_that_nobody_chose_is_now_and_one_that_was_chosen_stays() -> None:
    app = page()
    for minutes in (1, 2):
        later = NOW + dt.timedelta(minutes=minutes)
        app.session_state["now"] = later
        app = look_away_and_back(app) if minutes == 1 else app.run()
        assert app.datetime_input[0].value == later
    chosen = dt.datetime(2026, 11, 28, 7, 0)
    app.datetime_input[0].set_value(chosen).run()
    app.session_state["now"] = NOW + dt.timedelta(hours=1)
    assert app.run().datetime_input[0].value == chosen
    assert look_away_and_back(app).datetime_input[0].value == chosen


def test_what_is_kept_is_bounded() -> None:
    store = drafts.DraftStore()
    for number in range(drafts.MAX_SIGN_INS + 5):
        store.put(f"s{number}", "notes", "x")
    assert (store.get("s4", "notes"), store.get("s5", "notes")) == (None, "x")
    for number in range(drafts.MAX_VALUES + 1):
        store.put("s9", f"k{number}", 1)
    assert (store.get("s9", "notes"), store.get("s9", "k0"), store.get("s9", "k1")) == (None, None, 1)
    store.put("s9", "long", "x" * (drafts.MAX_TEXT + 1))
    assert store.get("s9", "long") is None
    for number in range(drafts.MAX_BATCHES + 1):
        store.put_batch(f"s{number}", "batch", number)
    assert (store.batch("s0", "batch"), store.batch("s1", "batch")) == (None, 1)
