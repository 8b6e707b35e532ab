"""Local clock and calendar agree with the standard library, also where the clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.core.contract.columns import day_number, local_time
from services.core.contract.fields import in_zone

LONDON = "Europe/London"
moments = st.datetimes(datetime(1995, 1, 1), datetime(2045, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(moments, st.sampled_from([LONDON, "Europe/Paris", "Australia/Lord_Howe", "America/St_Johns"]))
def test_hour_weekday_and_day_are_those_of_zoneinfo(moment: datetime, zone: str) -> None:
    local = moment.astimezone(ZoneInfo(zone))
    found = local_time(np.array([moment.timestamp()]), zone)
    assert found.day[0] == day_number(local.date())
    assert found.weekday[0] == local.weekday()
    seconds = local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6
    assert abs(found.hour[0] * 3600 - seconds) < 1e-3


def test_a_million_moments_give_what_each_gives_alone() -> None:
    seconds = np.linspace(0.7e9, 2.3e9, 2_001)
    together = local_time(seconds, LONDON)
    for index in (0, 7, 1_000, 2_000):
        alone = local_time(seconds[index : index + 1], LONDON)
        assert [part[0] for part in alone] == [part[index] for part in together]


def test_the_hour_that_happens_twice_keeps_its_two_moments_apart() -> None:
    first = datetime(2024, 10, 27, 0, 30, tzinfo=UTC).timestamp()  # 01:30 summer time
    second = datetime(2024, 10, 27, 1, 30, tzinfo=UTC).timestamp()  # 01:30 winter time
    found = local_time(np.array([first, second]), LONDON)
    assert found.hour.tolist() == [1.5, 1.5]


def test_a_naive_time_in_the_hour_that_happens_twice_means_the_first() -> None:
    assert in_zone(datetime(2024, 10, 27, 1, 30), LONDON) == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)


def test_a_naive_time_in_the_hour_that_never_happens_is_moved_on_by_the_gap() -> None:
    assert in_zone(datetime(2024, 3, 31, 1, 30), LONDON) == datetime(2024, 3, 31, 1, 30, tzinfo=UTC)


def test_a_time_with_a_zone_is_left_alone() -> None:
    moment = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert in_zone(moment, LONDON) is moment


def test_a_missing_time_gives_missing_parts() -> None:
    found = local_time(np.array([np.nan]), LONDON)
    assert all(np.isnan(part[0]) for part in found)


def test_of_an_hour_that_happens_twice_either_may_be_meant_and_a_gap_is_moved_on() -> None:
    twice, never, once = (datetime.fromisoformat(f"2024-{text}:30") for text in ("10-27T01", "03-31T01", "06-01T01"))
    assert in_zone(twice, "Europe/London") == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    assert in_zone(twice, "Europe/London", again=True) == datetime(2024, 10, 27, 1, 30, tzinfo=UTC)
    for moment in (never, once):
        assert in_zone(moment, "Europe/London") == in_zone(moment, "Europe/London", again=True)
