"""The made-up catalogue: its classes, what people call them in three languages, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Box = tuple[float, float, float, float]
Draw = Callable[[Any, Box, str], None]
"""(a Pillow drawing, the product's place, its colour)"""


class Good(NamedTuple):
    code: int
    name: str
    share: float
    nouns: Mapping[str, tuple[str, ...]]
    draw: Draw
    tall: float
    """Height over width."""


LANGUAGES = ("fr", "en", "de")
COLOURS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "blue": ("#27408b", {"fr": "bleu", "en": "blue", "de": "blau"}),
    "red": ("#b22222", {"fr": "rouge", "en": "red", "de": "rot"}),
    "green": ("#2e7d4f", {"fr": "vert", "en": "green", "de": "grün"}),
    "black": ("#202020", {"fr": "noir", "en": "black", "de": "schwarz"}),
    "brown": ("#7b4a1e", {"fr": "marron", "en": "brown", "de": "braun"}),
    "grey": ("#808080", {"fr": "gris", "en": "grey", "de": "grau"}),
    "pink": ("#d96a9b", {"fr": "rose", "en": "pink", "de": "rosa"}),
}
MAKERS = ("Alba", "Norvell", "Kestrel", "Maison Duval", "Brandt", "Oriel", "Tessera", "Lumen & Fils")


def _at(box: Box, x: float, y: float) -> tuple[float, float]:
    left, top, right, bottom = box
    return left + (right - left) * x, top + (bottom - top) * y


def _polygon(*corners: tuple[float, float]) -> Draw:
    def draw(pen: Any, box: Box, colour: str) -> None:
        pen.polygon([_at(box, x, y) for x, y in corners], fill=colour)

    return draw


def _all(*parts: Draw) -> Draw:
    def draw(pen: Any, box: Box, colour: str) -> None:
        for part in parts:
            part(pen, box, colour)

    return draw


def _oval(x0: float, y0: float, x1: float, y1: float, *, hole: bool = False) -> Draw:
    def draw(pen: Any, box: Box, colour: str) -> None:
        pen.ellipse([_at(box, x0, y0), _at(box, x1, y1)], fill="white" if hole else colour)

    return draw


def _slab(x0: float, y0: float, x1: float, y1: float, *, light: bool = False) -> Draw:
    def draw(pen: Any, box: Box, colour: str) -> None:
        pen.rectangle([_at(box, x0, y0), _at(box, x1, y1)], fill="#e8e4da" if light else colour)

    return draw


_SHIRT = _polygon(
    (0.3, 0),
    (0.7, 0),
    (1, 0.25),
    (0.85, 0.42),
    (0.76, 0.34),
    (0.76, 1),
    (0.24, 1),
    (0.24, 0.34),
    (0.15, 0.42),
    (0, 0.25),
)
_TROUSERS = _polygon((0.15, 0), (0.85, 0), (1, 1), (0.62, 1), (0.5, 0.35), (0.38, 1), (0, 1))
_SHOE = _polygon((0, 0.2), (0.35, 0.2), (0.6, 0.55), (0.95, 0.68), (1, 1), (0, 1))
_BAG = _all(_oval(0.25, 0, 0.75, 0.6), _oval(0.33, 0.1, 0.67, 0.6, hole=True), _slab(0, 0.35, 1, 1))
_BACKPACK = _all(_oval(0.1, 0, 0.9, 0.6), _slab(0.1, 0.3, 0.9, 1), _slab(0.25, 0.55, 0.75, 0.85, light=True))
_WATCH = _all(_slab(0.32, 0, 0.68, 1), _oval(0.1, 0.28, 0.9, 0.72), _oval(0.2, 0.33, 0.8, 0.67, hole=True))
_GLASSES = _all(_oval(0, 0.1, 0.42, 0.9), _oval(0.58, 0.1, 1, 0.9), _slab(0.4, 0.35, 0.6, 0.5))
_BELT = _all(_slab(0, 0.3, 1, 0.7), _slab(0.05, 0.1, 0.2, 0.9), _slab(0.09, 0.3, 0.16, 0.7, light=True))
_BOOK = _all(_slab(0, 0, 1, 1), _slab(0.12, 0.08, 0.92, 0.3, light=True), _slab(0.12, 0.7, 0.6, 0.76, light=True))
_SHORTS = _polygon((0.08, 0), (0.92, 0), (1, 1), (0.56, 1), (0.5, 0.5), (0.44, 1), (0, 1))

_NOUNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Books": {"fr": ("livre", "roman", "manuel"), "en": ("book", "novel"), "de": ("buch", "roman")},
    "Backpacks": {"fr": ("sac à dos",), "en": ("backpack", "rucksack"), "de": ("rucksack",)},
    "Handbags": {"fr": ("sac à main", "sac"), "en": ("handbag", "bag"), "de": ("handtasche", "tasche")},
    "Watches": {"fr": ("montre",), "en": ("watch", "wristwatch"), "de": ("armbanduhr", "uhr")},
    "Shirts": {"fr": ("chemise",), "en": ("shirt",), "de": ("hemd",)},
    "Trousers": {"fr": ("pantalon", "jean"), "en": ("trousers", "jeans"), "de": ("hose", "jeans")},
    "Shorts": {"fr": ("short", "bermuda"), "en": ("shorts",), "de": ("kurze hose", "shorts")},
    "Shoes": {"fr": ("chaussures", "baskets"), "en": ("shoes", "sneakers"), "de": ("schuhe", "turnschuhe")},
    "Glasses": {"fr": ("lunettes",), "en": ("sunglasses", "glasses"), "de": ("sonnenbrille", "brille")},
    "Belts": {"fr": ("ceinture",), "en": ("belt",), "de": ("gürtel",)},
}
GOODS = (
    Good(10, "Books", 0.14, _NOUNS["Books"], _BOOK, 1.35),
    Good(40, "Backpacks", 0.08, _NOUNS["Backpacks"], _BACKPACK, 1.2),
    Good(50, "Handbags", 0.10, _NOUNS["Handbags"], _BAG, 0.9),
    Good(60, "Watches", 0.12, _NOUNS["Watches"], _WATCH, 1.8),
    Good(1140, "Shirts", 0.15, _NOUNS["Shirts"], _SHIRT, 1.1),
    Good(1160, "Trousers", 0.10, _NOUNS["Trousers"], _TROUSERS, 1.7),
    Good(1180, "Shorts", 0.06, _NOUNS["Shorts"], _SHORTS, 0.9),
    Good(1280, "Shoes", 0.13, _NOUNS["Shoes"], _SHOE, 0.55),
    Good(1300, "Glasses", 0.06, _NOUNS["Glasses"], _GLASSES, 0.4),
    Good(1560, "Belts", 0.06, _NOUNS["Belts"], _BELT, 0.2),
)
