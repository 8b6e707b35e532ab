"""Texts, numbers, dates and units in the language of the page. The texts of each page stand in the modules beside, in
both languages.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from services.core.contract.use_case import Text
from services.dashboard.i18n.calls import BOARD, CALL
from services.dashboard.i18n.data import DATA, EXPLORE
from services.dashboard.i18n.drift import DRIFT
from services.dashboard.i18n.interface import CONFIRMATION, SHELL, TERMS
from services.dashboard.i18n.models import MODELS
from services.dashboard.i18n.platform import ADMINISTRATION, PORTAL

Language = Literal["en", "fr"]
LANGUAGES: dict[Language, str] = {"en": "English", "fr": "Français"}

_SECTIONS: dict[str, dict[str, Text]] = {
    "shell": SHELL,
    "terms": TERMS,
    "asking": CONFIRMATION,
    "call": CALL,
    "board": BOARD,
    "models": MODELS,
    "data": DATA,
    "drift": DRIFT,
    "explore": EXPLORE,
    "administration": ADMINISTRATION,
    "portal": PORTAL,
}
CATALOGUE: dict[str, Text] = {f"{page}.{key}": text for page, texts in _SECTIONS.items() for key, text in texts.items()}


class Translator:
    """``words("board.title", count=3)``: the text in the language, with its gaps filled."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, /, **gaps: object) -> str:
        text = self.of(CATALOGUE[key])
        return text.format(**gaps) if gaps else text

    def of(self, text: Text) -> str:
        """The right half of a pair, such as a declaration's title."""
        return text.fr if self.language == "fr" else text.en

    def pair(self, pair: dict[str, str]) -> str:
        """The same for a pair as the services' JSON has it."""
        return pair.get(self.language) or pair.get("en", "")

    def known(self, key: str, otherwise: str) -> str:
        """The text of a key that may be missing: codes that come from a service."""
        return self.of(CATALOGUE[key]) if key in CATALOGUE else otherwise


NARROW_SPACE = "\u202f"
"""Between thousands and before units in French; it does not break."""
_MONTHS: dict[Language, tuple[str, ...]] = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "fr": ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."),
}


class Formats:
    def __init__(self, language: Language) -> None:
        self.language = language
        self._french = language == "fr"

    def number(self, value: float | None, digits: int = 0) -> str:
        if value is None or value != value:  # noqa: PLR0124 - NaN differs from itself
            return "–"
        text = f"{value:,.{digits}f}"
        if not self._french:
            return text
        return text.replace(",", NARROW_SPACE).replace(".", ",")

    def percent(self, share: float | None, digits: int = 0) -> str:
        """``share`` is 0 to 1. Never says 0 or 100 of what is not exactly that."""
        if share is None or share != share:  # noqa: PLR0124
            return "–"
        gap = NARROW_SPACE if self._french else ""
        least = 0.5 * 10.0 ** -(digits + 2)
        if 0 < share < least:
            return f"<{gap}{self.number(2 * least * 100, digits)}{gap}%"
        if 1 - least < share < 1:
            return f">{gap}{self.number(100 - 2 * least * 100, digits)}{gap}%"
        return f"{self.number(share * 100, digits)}{gap}%"

    def quantity(self, value: float | None, unit: str, digits: int | None = None) -> str:
        """A number with its unit; seconds to the second, other things to a tenth."""
        if digits is None:
            digits = 0 if unit in {"s", "m"} else 1
        text = self.number(value, digits)
        return f"{text}{NARROW_SPACE if self._french else ' '}{unit}" if unit else text

    def minutes(self, seconds: float | None) -> str:
        """``5 min 12 s``."""
        if seconds is None or seconds != seconds:  # noqa: PLR0124
            return "–"
        whole = round(seconds)
        if whole < 60:
            return f"{whole} s"
        return f"{whole // 60} min {whole % 60:02d} s"

    def duration(self, seconds: float | None) -> str:
        """For ages and running times: the two largest units."""
        if seconds is None:
            return "–"
        whole = round(seconds)
        day = "j" if self._french else "d"
        for size, unit, smaller, smaller_unit in (
            (86_400, day, 3_600, "h"),
            (3_600, "h", 60, "min"),
            (60, "min", 1, "s"),
        ):
            if whole >= size:
                rest = whole % size // smaller
                return f"{whole // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
        return f"{whole} s"

    def day(self, value: date | datetime | str | None) -> str:
        """``21 Nov 2026``."""
        if not value:
            return "–"
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return f"{value.day} {_MONTHS[self.language][value.month - 1]} {value.year}"

    def moment(self, value: datetime | str | None, zone: str | None = None, *, seconds: bool = False) -> str:
        """``21 Nov 2026, 14:05`` in ``zone`` (by default the moment's own, or UTC)."""
        found = in_zone(value, zone)
        return "–" if found is None else f"{self.day(found)}, {self._clock(found, seconds)}"

    def clock(self, value: datetime | str | None, zone: str | None = None, *, seconds: bool = True) -> str:
        """``14:05:12``."""
        found = in_zone(value, zone)
        return "–" if found is None else self._clock(found, seconds)

    def _clock(self, value: datetime, seconds: bool) -> str:
        return f"{value:%H:%M:%S}" if seconds else f"{value:%H:%M}"

    def bytes(self, count: float) -> str:
        unit = "o" if self._french else "B"
        for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if count >= size:
                return self.quantity(count / size, prefix + unit, 1)
        return self.quantity(count, unit, 0)


def in_zone(value: datetime | str | None, zone: str | None) -> datetime | None:
    if not value:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.astimezone(ZoneInfo(zone)) if zone is not None and found.tzinfo is not None else found
