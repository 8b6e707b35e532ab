"""Bank holidays (package ``holidays``) and English school holidays by rule.

School terms are set by each borough, so the rule takes what the boroughs have in common: two weeks
around Christmas, the week of each half term, two weeks around Easter, and the summer from late July.
"""

from __future__ import annotations

from datetime import date, timedelta

import holidays
import numpy as np

from services.core.usecases.contract import Arrays
from services.core.usecases.fire_response.brigade import Brigade
from services.core.usecases.local_time import day_number


def calendar_arrays(first_year: int, last_year: int, brigade: Brigade) -> Arrays:
    """``bank_holidays`` and ``school_holidays``: sorted day numbers (see ``LocalTime.day``)."""
    years = range(first_year - 1, last_year + 1)
    bank = holidays.country_holidays(brigade.country, subdiv=brigade.country_part, years=list(years))
    school = {day for year in years for day in school_holidays(year)}
    return {
        "bank_holidays": np.array(sorted(day_number(day) for day in bank), dtype=np.int64),
        "school_holidays": np.array(sorted(day_number(day) for day in school), dtype=np.int64),
    }


def school_holidays(year: int) -> set[date]:
    """The weekdays and weekends of a calendar year's English school holidays."""
    easter = _easter(year)
    good_friday = easter - timedelta(days=2)
    monday = good_friday - timedelta(days=11)
    spans = [
        (date(year, 1, 1), date(year, 1, 3)),
        _week(date(year, 2, 18)),
        (monday - timedelta(days=2), easter + timedelta(days=1)),
        _week(date(year, 5, 31)),
        (date(year, 7, 22), date(year, 9, 2)),
        _week(date(year, 10, 28)),
        (date(year, 12, 20), date(year, 12, 31)),
    ]
    return {start + timedelta(days=offset) for start, end in spans for offset in range((end - start).days + 1)}


def _week(inside: date) -> tuple[date, date]:
    """The Monday-to-Sunday week of a day, with the Saturday and Sunday before it."""
    monday = inside - timedelta(days=inside.weekday())
    return monday - timedelta(days=2), monday + timedelta(days=6)


def _easter(year: int) -> date:
    """Western Easter Sunday (the anonymous Gregorian computus; Meeus, Astronomical Algorithms, ch. 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e, f = b // 4, b % 4, (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    l_ = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * l_) // 451
    month, day = divmod(h + l_ - 7 * m + 114, 31)
    return date(year, month, day + 1)
