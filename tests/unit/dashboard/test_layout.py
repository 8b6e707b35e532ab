"""What stands around the pages: addresses, roles, formats, states."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.core.auth.principal import Role
from services.core.messages import CATALOGUE, NARROW_SPACE, Formats
from services.dashboard.components import data_display
from services.dashboard.pages import PAGES, RESERVED, for_role
from services.dashboard.pages.board.handover import next_minute
from services.dashboard.pages.call.form import as_meant
from services.dashboard.session import User
from services.dashboard.settings import DashboardSettings

EN, FR = Formats("en"), Formats("fr")


def test_pages_have_addresses_that_the_edge_gives_to_nobody_else() -> None:
    paths = [page.path for page in PAGES]
    assert len(set(paths)) == len(paths)
    assert not set(paths) & RESERVED


def test_an_hour_that_the_clock_shows_twice_is_told_apart() -> None:
    first, again = (datetime(2024, 10, 27, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert EN.moment(first, "Europe/London") == "27 Oct 2024, 01:30 (UTC+1)"
    assert EN.moment(again.isoformat(), "Europe/London") == "27 Oct 2024, 01:30 (UTC)"
    assert FR.clock(first, "Europe/Paris") == "02:30:00 (UTC+2)"
    assert EN.clock(datetime(2024, 10, 27, 2, 30, tzinfo=UTC), "Europe/London") == "02:30:00"
    assert EN.clock(again) == "01:30:00"


@pytest.mark.parametrize(
    ("now", "sent"),
    [
        ("2024-10-27T00:31+00:00", "2024-10-27T01:30:00+01:00"),
        ("2024-10-27T01:31+00:00", "2024-10-27T01:30:00+00:00"),
        ("2024-10-28T09:00+00:00", "2024-10-27T01:30:00+00:00"),
    ],
)
def test_a_time_of_the_hour_that_comes_twice_is_the_later_one_that_has_begun(now: str, sent: str) -> None:
    shown = datetime.fromisoformat("2024-10-27T01:30")
    assert as_meant(shown, "Europe/London", datetime.fromisoformat(now)) == sent
    assert as_meant(shown.replace(hour=3), "Europe/London", datetime.fromisoformat(now)) == "2024-10-27T03:30:00"


def test_a_sheet_does_not_end_an_hour_early_in_the_hour_that_comes_twice() -> None:
    now = datetime(2024, 10, 27, 1, 30, 40, tzinfo=UTC).astimezone(ZoneInfo("Europe/London"))
    assert next_minute(now).astimezone(UTC) == datetime(2024, 10, 27, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.module)
def test_a_page_has_a_module_a_title_and_a_section(page: object) -> None:
    assert callable(importlib.import_module(f"services.dashboard.pages.{page.module}").render)  # type: ignore[attr-defined]
    assert {page.title, page.section} <= CATALOGUE.keys()  # type: ignore[attr-defined]


def test_a_role_gets_what_it_may_use_alone() -> None:
    assert "call" not in {page.module for page in for_role(Role.VIEWER)}
    assert "administration" not in {page.module for page in for_role(Role.OPERATOR)}
    assert for_role(Role.ADMIN) == list(PAGES)


def test_numbers_follow_the_language() -> None:
    assert (EN.number(12_345.6, 1), FR.number(12_345.6, 1)) == ("12,345.6", f"12{NARROW_SPACE}345,6")
    assert (EN.quantity(342.2, "s"), FR.quantity(342.2, "s")) == ("342 s", f"342{NARROW_SPACE}s")
    assert (EN.percent(0.123), FR.percent(0.123)) == ("12%", f"12{NARROW_SPACE}%")
    assert EN.number(float("nan")) == "–"


def test_a_small_probability_is_never_said_to_be_nothing() -> None:
    assert EN.percent(0.0004) == "<1%"
    assert EN.percent(0.9999) == ">99%"
    assert (EN.percent(0.0), EN.percent(1.0)) == ("0%", "100%")


def test_moments_follow_the_language_and_the_zone() -> None:
    at = datetime(2026, 7, 1, 12, 5, tzinfo=UTC)
    assert EN.moment(at, "Europe/London") == "1 Jul 2026, 13:05"
    assert FR.moment(at.isoformat(), "Europe/Paris") == "1 juil. 2026, 14:05"
    assert (EN.duration(93_600), FR.duration(93_600)) == ("1 d 2 h", "1 j 2 h")


def test_a_user_of_all_centres_is_told_from_one_of_none() -> None:
    said = {"id": "u", "name": "n", "role": "viewer", "centre": "north", "centres": "*", "use_cases": None}
    assert User.of(said).centres is None
    assert User.of({**said, "centres": []}).centres == ()


def test_the_browser_finds_the_gateway_by_the_name_it_knows_this_machine_by() -> None:
    local = DashboardSettings.model_validate({"dashboard_sign_in_url": "http://127.0.0.1:8600"})
    assert local.sign_in_address("http://localhost:8501/board") == "http://localhost:8600"
    assert local.sign_in_address("http://127.0.0.1:8501/") == "http://127.0.0.1:8600"
    edge = DashboardSettings.model_validate({"dashboard_sign_in_url": ""})
    assert edge.sign_in_address("https://vigie.test/board") == ""


def test_a_bar_beyond_its_mark_is_hatched_and_says_so_to_those_who_hear_it() -> None:
    late = data_display.interval_html(
        data_display.IntervalBar(342, 211, 478, ("211 s", "478 s"), mark=360, mark_text="objective"), label="<x>"
    )
    assert "class='span late'" in late
    assert "aria-label='&lt;x&gt;'" in late
    assert "late" not in data_display.interval_html(
        data_display.IntervalBar(200, 100, 300, ("a", "b"), mark=360), label=""
    )


def test_texts_from_outside_cannot_become_html() -> None:
    assert "<script" not in data_display.bars_html([data_display.Bar("<script>", 1.0, "<script>")], label="'><script>")
