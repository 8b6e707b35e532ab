"""Strips HTML, tokenizes, folds letters and detects the language. Standard library alone."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

_TAG = re.compile(r"<[/!?]?[a-zA-Z][^<>]{0,2000}>")
_HIDDEN = re.compile(r"<(script|style)\b.{0,5000}?</\1\s*>|<!--.{0,5000}?-->", re.DOTALL | re.IGNORECASE)
_HIDES = ("</script", "</style", "-->")
_WORD = re.compile(r"[^\W_]+")
_LETTERS = str.maketrans({"ß": "ss", "œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ł": "l"})
_SHORTEST_PIECE, _LONGEST_PIECE = 3, 5

_COMMON = {
    "fr": "le la les un une des du de et en pour avec sans dans sur par au aux ou ce cette ces est sont qui que ne pas "
    "plus vos votre nos notre tres ainsi homme femme enfant couleur taille",
    "en": "the a an of and for with without in on by to from or this these is are which that not your our very also "
    "men women kids colour color size",
    "de": "der die das ein eine einer und fur mit ohne im in auf von zu aus oder dieser diese ist sind nicht ihre "
    "unsere sehr auch herren damen kinder farbe grosse den dem des",
}
_SPEAKS: dict[str, tuple[str, ...]] = {}
for _language, _words in _COMMON.items():
    for _word in _words.split():
        _SPEAKS[_word] = (*_SPEAKS.get(_word, ()), _language)
"""Frequent word -> the languages that it is frequent in."""


def strip_html(text: str) -> str:
    """Plain text of HTML: entities resolved (twice, as catalogues escape twice), tags removed, white space single."""
    if "&" in text:
        text = html.unescape(html.unescape(text))
    if "<" in text:
        folded = text.casefold()
        if any(end in folded for end in _HIDES):
            text = _HIDDEN.sub(" ", text)
        text = _TAG.sub(" ", text)
    return " ".join(text.split())


def tokenize(text: str) -> list[str]:
    """Tokenize a plain text: lower-case words without accents."""
    folded = text.casefold()
    if not folded.isascii():
        folded = unicodedata.normalize("NFKD", folded.translate(_LETTERS))
        folded = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return _WORD.findall(folded)


def bigrams(found: list[str]) -> Iterator[str]:
    """Pairs of neighbouring words."""
    return map(" ".join, pairwise(found))


def character_ngrams(found: list[str]) -> Iterator[str]:
    """Character n-grams of three to five letters within a word, its ends marked."""
    for word in found:
        marked = f"_{word}_"
        for size in range(_SHORTEST_PIECE, _LONGEST_PIECE + 1):
            for start in range(len(marked) - size + 1):
                yield marked[start : start + size]


def detect_language(found: list[str]) -> str:
    """Detect the language by frequent words: ``fr``, ``en`` or ``de``; ``unclear`` where there are none, or a tie."""
    votes = {"fr": 0, "en": 0, "de": 0}
    for word in found:
        for spoken in _SPEAKS.get(word, ()):
            votes[spoken] += 1
    first, second = sorted(votes.values(), reverse=True)[:2]
    return "unclear" if first == second else max(votes, key=votes.__getitem__)


def word_endings(found: list[str]) -> list[str]:
    """The first word and the last one, two and three: where titles say what a thing is."""
    if not found:
        return []
    return [f"^{found[0]}", *(f"${' '.join(found[-size:])}" for size in range(1, min(3, len(found)) + 1))]
