"""All that the dashboard says, in both languages: each text stands with its translation, in the page's own module."""

from __future__ import annotations

from typing import Literal

from services.core.usecases.contract import Text
from services.dashboard.words import (
    administration,
    asking,
    board,
    call,
    data,
    drift,
    explore,
    models,
    portal,
    shell,
    terms,
)

Language = Literal["en", "fr"]
LANGUAGES: dict[Language, str] = {"en": "English", "fr": "Français"}

ALL: dict[str, Text] = {
    f"{module.__name__.rpartition('.')[2]}.{key}": text
    for module in (shell, terms, asking, call, board, models, data, drift, explore, administration, portal)
    for key, text in module.WORDS.items()
}


class Words:
    """``words("board.title", count=3)``: the text in the language, with its gaps filled."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, /, **gaps: object) -> str:
        text = self.of(ALL[key])
        return text.format(**gaps) if gaps else text

    def of(self, text: Text) -> str:
        """The right half of a pair, such as a declaration's title."""
        return text.fr if self.language == "fr" else text.en

    def pair(self, pair: dict[str, str]) -> str:
        """The same for a pair as the services' JSON has it."""
        return pair.get(self.language) or pair.get("en", "")

    def known(self, key: str, otherwise: str) -> str:
        """The text of a key that may be missing: codes that come from a service."""
        return self.of(ALL[key]) if key in ALL else otherwise
