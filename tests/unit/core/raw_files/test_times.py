"""Dates and times are read by formats that hold for the column, decided by all rows and by other columns."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from services.core.raw_files.columns import TypedRows
from tests.unit.core.raw_files.test_values import read

NUMBER = {"number": r"-(?P<day>[0-9]{2})(?P<month>[0-9]{2})[0-9]{4}$"}
HOUR = {"hour": r"^(?P<hour>[0-9]{1,2})(?:\.0)?$"}


def dates(values: list[str], **column: Any) -> list[str]:
    return shown(read(values, kind="date", **column))


def shown(typed: TypedRows) -> list[str]:
    return ["" if pd.isna(value) else f"{value:%Y-%m-%d}" for value in typed.rows["x"]]


def clocks(values: list[str], others: dict[str, list[str]] | None = None, **column: Any) -> list[str]:
    found = read(values, others, kind="clock", **column).rows["x"]
    return ["" if pd.isna(seconds) else str(pd.Timestamp(seconds, unit="s").time()) for seconds in found]


@pytest.mark.parametrize(
    "written",
    ["2023-03-19", "2023-03-19T00:00:00", "2023-03-19 00:00:00.000", "2023/03/19", "19/03/2023 00:00", "19-Mar-23",
     "19 mars 2023", "19.03.2023", "20230319", "45004", "45004.0", "2023-3-19", "19/3/2023", "3/19/2023"],
)  # fmt: skip
def test_a_date_in_every_spelling(written: str) -> None:
    assert dates([written]) == ["2023-03-19"]


@pytest.mark.parametrize("written", ["2023-02-30", "31/04/2023", "2023-03-19 14:11", "soon", "19/03", "2023", "99999"])
def test_what_is_no_date_is_not_read(written: str) -> None:
    assert dates([written]) == [""]


def test_all_rows_tell_day_before_month_from_month_before_day() -> None:
    assert dates(["1/5/2023", "13/5/2023"]) == ["2023-05-01", "2023-05-13"]
    assert dates(["1/5/2023", "1/15/2023"]) == ["2023-01-05", "2023-01-15"]
    assert dates(["5/5/2023"]) == ["2023-05-05"]


def test_dates_that_nothing_tells_apart_are_not_read_and_warned_of() -> None:
    typed = read(["1/5/2023", "2/5/2023"], kind="date")
    assert shown(typed) == ["", ""]
    assert any("in two ways" in finding.text for finding in typed.findings)
    assert dates(["28/03/23"]) == [""]  # or the year first


def test_another_column_tells_day_and_month() -> None:
    numbered = {"number": ["000201-05012023"]}
    assert shown(read(["1/5/2023"], numbered, kind="date", said_by=NUMBER)) == ["2023-01-05"]
    assert shown(read(["5/1/2023"], numbered, kind="date", said_by=NUMBER)) == ["2023-01-05"]
    assert shown(read(["2023-05-01"], numbered, kind="date", said_by=NUMBER)) == ["2023-01-05"]
    assert shown(read(["5/1/23"], numbered, kind="date", said_by=NUMBER)) == ["2023-01-05"]


def test_dates_that_contradict_the_other_column_are_not_read() -> None:
    typed = read(["2023-07-19"], {"number": ["000201-05012023"]}, kind="date", said_by=NUMBER)
    assert shown(typed) == [""]
    assert any("another column" in finding.text for finding in typed.findings)


def test_a_column_with_both_orders_is_not_read() -> None:
    typed = read(["13/5/2023", "1/15/2023", "1/2/2023"], kind="date")
    assert shown(typed) == ["", "", ""]
    assert any("month first in others" in finding.text for finding in typed.findings)


def test_dates_that_a_spreadsheet_turned_half_round_are_not_read() -> None:
    """It took 05/01 for the first of May, and left 13/01 as text because there is no 13th month."""
    assert dates(["13/01/2023", "2023-05-01", "2023-06-01"]) == ["", "", ""]
    assert dates(["13/01/2023", "2023-05-21"]) == ["2023-01-13", "2023-05-21"]


def test_one_wrong_date_among_good_ones_is_missing_alone() -> None:
    assert dates(["2015-13-01", "2015-01-01"]) == ["", "2015-01-01"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("07:05", "07:05:00"), ("7:05", "07:05:00"), ("7:05 PM", "19:05:00"), ("12:05 a.m.", "00:05:00"),
     ("07:05:12", "07:05:12"), ("7h05", "07:05:00"), ("1899-12-31 07:40:00", "07:40:00"), ("1411", "14:11:00"),
     ("0.5", "12:00:00"), ("0,25", "06:00:00"), ("0905", "09:05:00"), ("727.0", "07:27:00")],
)  # fmt: skip
def test_a_time_of_day_in_every_spelling(written: str, meant: str) -> None:
    assert clocks([written]) == [meant]


@pytest.mark.parametrize("written", ["24:10", "07:60", "40:37", "13:05 PM", "noon", "2561", "1.5", "2023-01-01 07:40"])
def test_what_is_no_time_of_day_is_not_read(written: str) -> None:
    assert clocks([written]) == [""]


def test_digits_without_colon_in_every_row_are_hours_and_minutes() -> None:
    assert clocks(["1830", "905", "20", "5", "0"]) == ["18:30:00", "09:05:00", "00:20:00", "00:05:00", "00:00:00"]


def test_one_or_two_digits_are_told_by_zeros_by_the_layout_or_by_another_column() -> None:
    assert clocks(["07", "21"]) == ["07:00:00", "21:00:00"]
    assert clocks(["7", "21"], digits="hours") == ["07:00:00", "21:00:00"]
    assert clocks(["7", "21"], digits="minutes") == ["00:07:00", "00:21:00"]
    assert clocks(["7", "21"]) == ["", ""]
    assert clocks(["7", "21"], {"hour": ["7", "21"]}, said_by=HOUR) == ["07:00:00", "21:00:00"]
    assert clocks(["7", "21"], {"hour": ["0", "0.0"]}, said_by=HOUR) == ["00:07:00", "00:21:00"]
    assert clocks(["17", "1715", "07:40"], digits="hours") == ["17:00:00", "17:15:00", "07:40:00"]


def test_times_whose_hour_was_cut_off_are_refused_by_the_hour_beside_them() -> None:
    typed = read(["07:49", "12:20"], {"hour": ["0", "12"]}, kind="clock", needed=True, said_by=HOUR)
    assert typed.reason.tolist() == ["x is not in the hour that hour says", ""]


def test_a_morning_of_a_thousand_calls_may_be_a_clock_of_twelve_hours() -> None:
    typed = read([f"{hour:02d}:{minute:02d}" for hour in range(1, 13) for minute in range(60)], kind="clock")
    assert any("12-hour clock" in finding.text for finding in typed.findings)


def test_moments_carry_their_time_and_accept_utc_alone() -> None:
    typed = read(["2023-01-13 17:06:05", "13/01/2023 5:06 PM", "2023-01-13T17:06:05.25Z"], kind="moment")
    assert typed.rows["x"].dt.strftime("%H:%M").tolist() == ["17:06", "17:06", "17:06"]
    assert read(["2023-01-13T17:06:05+02:00"], kind="moment").rows["x"].isna().all()
