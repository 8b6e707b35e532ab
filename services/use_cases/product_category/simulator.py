"""Writes a simulated catalogue: texts in three languages and drawn images."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from services.core.errors import VigieError

Box = tuple[float, float, float, float]
Draw = Callable[[Any, Box, str], None]
"""(a Pillow drawing, the product's place, its colour)"""


class CatalogueItem(NamedTuple):
    """A class of simulated products: its share, its words by language, and how it is drawn."""

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
BRANDS = ("Alba", "Norvell", "Kestrel", "Maison Duval", "Brandt", "Oriel", "Tessera", "Lumen & Fils")


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
CATALOGUE = (
    CatalogueItem(10, "Books", 0.14, _NOUNS["Books"], _BOOK, 1.35),
    CatalogueItem(40, "Backpacks", 0.08, _NOUNS["Backpacks"], _BACKPACK, 1.2),
    CatalogueItem(50, "Handbags", 0.10, _NOUNS["Handbags"], _BAG, 0.9),
    CatalogueItem(60, "Watches", 0.12, _NOUNS["Watches"], _WATCH, 1.8),
    CatalogueItem(1140, "Shirts", 0.15, _NOUNS["Shirts"], _SHIRT, 1.1),
    CatalogueItem(1160, "Trousers", 0.10, _NOUNS["Trousers"], _TROUSERS, 1.7),
    CatalogueItem(1180, "Shorts", 0.06, _NOUNS["Shorts"], _SHORTS, 0.9),
    CatalogueItem(1280, "Shoes", 0.13, _NOUNS["Shoes"], _SHOE, 0.55),
    CatalogueItem(1300, "Glasses", 0.06, _NOUNS["Glasses"], _GLASSES, 0.4),
    CatalogueItem(1560, "Belts", 0.06, _NOUNS["Belts"], _BELT, 0.2),
)


DRIFTS = ("dark-pictures", "blurred-pictures", "english-only", "new-words")
_SIDE = 112
_UNNAMED, _UNPICTURED, _MISFILED, _UNTOLD = 0.12, 0.03, 0.01, 0.4
"""Shares: titles without the product's name, products without picture, under a wrong code, without description."""
_MIDNIGHT = (1980, 1, 1, 0, 0, 0)
_PER_DAY = 10_000
_FOR = {"fr": ("homme", "femme", "enfant"), "en": ("men", "women", "kids"), "de": ("herren", "damen", "kinder")}
_TOLD = {
    "fr": "<p>{noun} {colour} pour {whom}, tr&egrave;s bonne qualit&eacute;.</p><ul><li>Livraison rapide</li></ul>",
    "en": "<p>A {colour} {noun} for {whom}, of very good quality &amp; finish.</p><br>Fast delivery.",
    "de": "<p>{noun} in {colour} f&uuml;r {whom}, sehr gute Qualit&auml;t.</p><b>Schnelle Lieferung</b>",
}
_NEW_WORDS = ("vintage", "oversize", "écoresponsable", "upcycling", "limited", "capsule")


def write(folder: Path, *, seed: int, rows: int, start: str, days: int, drift: Sequence[str] = ()) -> list[Path]:
    """Write about ``rows`` products. ``start`` numbers them, so that a later part of the catalogue has other ones.

    Raises:
        VigieError: a drift that there is not.
    """
    unknown = set(drift) - set(DRIFTS)
    if unknown:
        raise VigieError(f"There is no drift {min(unknown)!r}.", expected="one of " + ", ".join(DRIFTS))
    first = (date.fromisoformat(start) - date(2020, 1, 1)).days % 10_000 * _PER_DAY
    draw = np.random.default_rng([seed, rows, days, first])
    folder.mkdir(parents=True, exist_ok=True)
    chosen = draw.choice(len(CATALOGUE), rows, p=[good.share / sum(g.share for g in CATALOGUE) for good in CATALOGUE])
    products, codes = [], []
    archive = folder / "simulated-images.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as pack:
        for place, kind in enumerate(chosen.tolist()):
            good, number = CATALOGUE[kind], first + place
            title, description = _words(draw, good, drift)
            products.append((number, title, description, number, 1_000_000_000 + number))
            misfiled = draw.random() < _MISFILED
            codes.append((number, CATALOGUE[int(draw.integers(len(CATALOGUE)))].code if misfiled else good.code))
            if draw.random() >= _UNPICTURED:
                name = f"images/image_train/image_{1_000_000_000 + number}_product_{number}.jpg"
                pack.writestr(zipfile.ZipInfo(name, _MIDNIGHT), _picture(draw, good, drift))
    files = {
        "simulated-X_train.csv": pd.DataFrame(
            products, columns=["", "designation", "description", "productid", "imageid"]
        ),
        "simulated-Y_train.csv": pd.DataFrame(codes, columns=["", "prdtypecode"]),
        "simulated-labels.csv": pd.DataFrame(
            [(good.code, good.name) for good in CATALOGUE], columns=["prdtypecode", "label"]
        ),
    }
    for file, table in files.items():
        table.to_csv(folder / file, index=False)
    return [*(folder / file for file in files), archive]


def _words(draw: np.random.Generator, good: CatalogueItem, drift: Sequence[str]) -> tuple[str, str]:
    spoken = "en" if "english-only" in drift else LANGUAGES[int(draw.choice(3, p=(0.6, 0.25, 0.15)))]
    noun, whom = _one(draw, good.nouns[spoken]), _one(draw, _FOR[spoken])
    colour = COLOURS[_one(draw, tuple(COLOURS))][1][spoken]
    maker = _one(draw, BRANDS)
    parts = [maker, f"No {int(draw.integers(100, 999))}", colour, whom]
    if draw.random() >= _UNNAMED:
        parts.insert(int(draw.integers(1, len(parts) + 1)), noun)
    if "new-words" in drift:
        parts += [_one(draw, _NEW_WORDS), _one(draw, _NEW_WORDS)]
    title = " ".join(parts).replace("à", "&agrave;").replace(" & ", " &amp; ")
    description = "" if draw.random() < _UNTOLD else _TOLD[spoken].format(noun=noun, colour=colour, whom=whom)
    return title, description


def _one(draw: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(draw.integers(len(words)))]


def _picture(draw: np.random.Generator, good: CatalogueItem, drift: Sequence[str]) -> bytes:
    """The product on a white ground: its size, place, turn and colour vary, and so does the light."""
    picture = Image.new("RGB", (_SIDE, _SIDE), "white")
    width = draw.uniform(0.45, 0.9) * _SIDE
    height = min(width * good.tall * draw.uniform(0.75, 1.3), 0.95 * _SIDE)
    width = min(width, height / good.tall * 1.4)
    left, top = draw.uniform(0, _SIDE - width), draw.uniform(0, _SIDE - height)
    colour = COLOURS[_one(draw, tuple(COLOURS))][0]
    good.draw(ImageDraw.Draw(picture), (left, top, left + width, top + height), colour)
    picture = picture.rotate(draw.normal(0, 7), Image.Resampling.BILINEAR, fillcolor="white")
    if "dark-pictures" in drift:
        picture = ImageEnhance.Brightness(picture).enhance(0.45)
    if "blurred-pictures" in drift:
        picture = picture.filter(ImageFilter.GaussianBlur(4))
    noise = draw.normal(0, 5, (_SIDE, _SIDE, 1))
    noisy = np.clip(np.asarray(picture, dtype=np.float64) + noise, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, "JPEG", quality=80)
    return stream.getvalue()
