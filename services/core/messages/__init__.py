"""The message catalogue: every user-visible sentence in English and French, by code.

Services store and send a code with its values; ``render`` formats the sentence where it is shown. A placeholder names a
value and its format: ``{rise:signed_percent}``, ``{since:moment}``, ``{distance:number.2}``.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.core.contract.use_case import Text
from services.core.messages.calls import BOARD, CALL
from services.core.messages.data import DATA, EXPLORE
from services.core.messages.drift import DRIFT
from services.core.messages.formats import LANGUAGES, Formats, Language
from services.core.messages.interface import CONFIRMATION, SHELL, TERMS
from services.core.messages.models import FALLBACK_PAGES, MODELS
from services.core.messages.monitoring import MONITORING
from services.core.messages.platform import ADMINISTRATION, PORTAL

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
