"""The message catalogue: every user-visible sentence in English and French, by code; numbers and dates with Babel.

Services store and send a code with its values; ``render`` formats the sentence where it is shown. A placeholder names a
value and its format: ``{rise:signed_percent}``, ``{since:moment}``, ``{distance:number.2}``.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from math import floor, isfinite, log10
from typing import Any, Literal
from zoneinfo import ZoneInfo

from services.core.contract.use_case import Text
from services.core.messages.calls import BOARD, CALL
from services.core.messages.data import DATA, EXPLORE
from services.core.messages.drift import DRIFT
from services.core.messages.interface import CONFIRMATION, SHELL, TERMS
from services.core.messages.models import FALLBACK_PAGES, MODELS
from services.core.messages.monitoring import MONITORING
from services.core.messages.platform import ADMINISTRATION, PORTAL

Language = Literal["en", "fr"]
LANGUAGES: dict[Language, str] = {"en": "English", "fr": "Français"}
NARROW_SPACE = "\u202f"
"""Narrow no-break space: French thousands separator, and before units."""
NOTHING = "–"


class Formats:
    """Formats of one language. Babel is imported on first use: services that only store codes never load it."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._gap = NARROW_SPACE if language == "fr" else ""

    def number(self, value: float | None, digits: int = 0) -> str:
        return self._decimal(value, "0" * digits)

    def significant(self, value: float | None, digits: int = 3) -> str:
        """A number with this many significant digits, without trailing zeros."""
        if not value or not isfinite(value):
            return self.number(value)
        return self._decimal(value, "#" * max(0, digits - 1 - floor(log10(abs(value)))))

    def _decimal(self, value: float | None, fraction: str) -> str:
        from babel.numbers import format_decimal  # noqa: PLC0415

        if value is None or not isfinite(value):
            return NOTHING
        pattern = f"#,##0.{fraction}" if fraction else "#,##0"
        return str(format_decimal(value, pattern, locale=self.language))

    def percent(self, share: float | None, digits: int = 0) -> str:
        """A percentage of ``share`` (0 to 1). Never shows 0 or 100 unless exact."""
        if share is None or not isfinite(share):
            return NOTHING
        gap, least = self._gap, 0.5 * 10.0 ** -(digits + 2)
        if 0 < share < least:
            return f"<{gap}{self.number(2 * least * 100, digits)}{gap}%"
        if 1 - least < share < 1:
            return f">{gap}{self.number(100 - 2 * least * 100, digits)}{gap}%"
        return f"{self.number(share * 100, digits)}{gap}%"

    def signed_percent(self, share: float | None) -> str:
        """A signed difference: ``+12%``."""
        if share is None or not isfinite(share):
            return NOTHING
        return f"{'+' if share >= 0 else ''}{self.number(share * 100)}{self._gap}%"

    def quantity(self, value: float | None, unit: str, digits: int | None = None) -> str:
        """A number with its unit; seconds as integers, other units with one decimal."""
        if digits is None:
            digits = 0 if unit in {"s", "m"} else 1
        return f"{self.number(value, digits)}{self._gap or ' '}{unit}" if unit else self.number(value, digits)

    def minutes(self, seconds: float | None) -> str:
        """Minutes and seconds: ``5 min 12 s``."""
        if seconds is None or not isfinite(seconds):
            return NOTHING
        whole = round(seconds)
        return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"

    def duration(self, seconds: float | None) -> str:
        """Age or running time in its two largest units."""
        if seconds is None:
            return NOTHING
        whole = round(seconds)
        day = "j" if self.language == "fr" else "d"
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
        """A date: ``21 Nov 2026``."""
        from babel.dates import format_date  # noqa: PLC0415

        if not value:
            return NOTHING
        day = datetime.fromisoformat(value) if isinstance(value, str) else value
        return str(format_date(day, "d MMM y", locale=self.language))

    def moment(self, value: datetime | str | None, zone: str | None = None, *, seconds: bool = False) -> str:
        """Date and time, ``21 Nov 2026, 14:05``, in ``zone`` (by default the moment's own, or UTC)."""
        at = _in_zone(value, zone)
        return NOTHING if at is None else f"{self.day(at)}, {self.clock(at, seconds=seconds)}"

    def clock(self, value: datetime | str | None, zone: str | None = None, *, seconds: bool = True) -> str:
        """Time of day: ``14:05:12``; ``01:30 (UTC+1)`` where the clock shows the hour twice."""
        at = _in_zone(value, zone)
        return NOTHING if at is None else (f"{at:%H:%M:%S}" if seconds else f"{at:%H:%M}") + _offset_if_twice(at)

    def bytes(self, count: float) -> str:
        unit = "o" if self.language == "fr" else "B"
        for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if count >= size:
                return self.quantity(count / size, prefix + unit, 1)
        return self.quantity(count, unit, 0)


def _offset_if_twice(at: datetime) -> str:
    offset = at.utcoffset()
    if offset is None or at.replace(fold=0).utcoffset() == at.replace(fold=1).utcoffset():
        return ""
    hours = offset.total_seconds() / 3_600
    return f" (UTC{hours:+g})" if hours else " (UTC)"


def _in_zone(value: datetime | str | None, zone: str | None) -> datetime | None:
    if not value:
        return None
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(ZoneInfo(zone)) if zone is not None and at.tzinfo is not None else at


__all__ = ["CATALOGUE", "LANGUAGES", "Formats", "Language", "Message", "Translator", "render", "sentences"]

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
    "monitoring": MONITORING,
    "fallback": FALLBACK_PAGES,
}
CATALOGUE: dict[str, Text] = {f"{page}.{key}": text for page, texts in _SECTIONS.items() for key, text in texts.items()}


@dataclass(frozen=True, slots=True)
class Message:
    """A code of the catalogue with its placeholder values: numbers, words, moments, pairs (``Text``) and messages."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """JSON to store and send; input of ``render``."""
        return {"code": self.code, "values": {name: _as_json(value) for name, value in self.values.items()}}


def _as_json(value: Any) -> Any:
    if isinstance(value, Message):
        return value.as_json()
    if isinstance(value, Text):
        return value._asdict()
    return value.isoformat() if isinstance(value, datetime) else value


def render(message: Message | Mapping[str, Any], language: Language) -> str:
    """The sentence of a message, or of its JSON. A code unknown to this version is shown as it is."""
    content = message.as_json() if isinstance(message, Message) else message
    words = Translator(language)
    if content["code"] not in CATALOGUE:
        return str(content["code"])
    return words(content["code"], **content["values"])


def sentences(message: Message | Mapping[str, Any]) -> dict[str, str]:
    """The sentence in each language, for clients without the catalogue."""
    return {language: render(message, language) for language in LANGUAGES}


class Translator(string.Formatter):
    """The catalogue in one language: ``words("board.title", count=3)``."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._formats = Formats(language)

    def __call__(self, key: str, /, **gaps: Any) -> str:
        text = self.of(CATALOGUE[key])
        return self.vformat(text, (), gaps) if gaps else text

    def of(self, text: Text) -> str:
        """The text of a pair in this language, such as a title in a declaration."""
        return text.fr if self.language == "fr" else text.en

    def pair(self, pair: Mapping[str, Any]) -> str:
        """The sentence of JSON with a ``message``; otherwise its ``en`` and ``fr`` texts, as stored by 0.1.0."""
        if "message" in pair:
            return render(pair["message"], self.language)
        return str(pair.get(self.language) or pair.get("en", ""))

    def known(self, key: str, otherwise: str) -> str:
        """The text of a key that may be unknown: codes that a service returned."""
        return self.of(CATALOGUE[key]) if key in CATALOGUE else otherwise

    def format_field(self, value: Any, format_spec: str) -> str:
        """Format a value. The part after the colon is a method of ``Formats``, followed by its digits."""
        if isinstance(value, Mapping):
            return render(value, self.language) if "code" in value else self.pair(value)
        if isinstance(value, Text):
            return self.of(value)
        if not format_spec:
            return str(value)
        name, _, digits = format_spec.partition(".")
        written: str = getattr(self._formats, name)(value, *([int(digits)] if digits else []))
        return written
