"""Writes a catalogue in the challenge's layout: titles and descriptions in three languages, with the HTML that
catalogues carry, codes, names, and drawn pictures.

Some titles name no class, some pictures are missing, and a few products are filed under a wrong code.
``drift`` may name ``dark-pictures``, ``blurred-pictures``, ``english-only`` and ``new-words``.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from services.core.errors import VigieError
from services.core.usecases.product_category.simulated_goods import COLOURS, GOODS, LANGUAGES, MAKERS, Good

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
    chosen = draw.choice(len(GOODS), rows, p=[good.share / sum(g.share for g in GOODS) for good in GOODS])
    products, codes = [], []
    archive = folder / "simulated-images.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as pack:
        for place, kind in enumerate(chosen.tolist()):
            good, number = GOODS[kind], first + place
            title, description = _words(draw, good, drift)
            products.append((number, title, description, number, 1_000_000_000 + number))
            misfiled = draw.random() < _MISFILED
            codes.append((number, GOODS[int(draw.integers(len(GOODS)))].code if misfiled else good.code))
            if draw.random() >= _UNPICTURED:
                name = f"images/image_train/image_{1_000_000_000 + number}_product_{number}.jpg"
                pack.writestr(zipfile.ZipInfo(name, _MIDNIGHT), _picture(draw, good, drift))
    files = {
        "simulated-X_train.csv": pd.DataFrame(
            products, columns=["", "designation", "description", "productid", "imageid"]
        ),
        "simulated-Y_train.csv": pd.DataFrame(codes, columns=["", "prdtypecode"]),
        "simulated-labels.csv": pd.DataFrame(
            [(good.code, good.name) for good in GOODS], columns=["prdtypecode", "label"]
        ),
    }
    for file, table in files.items():
        table.to_csv(folder / file, index=False)
    return [*(folder / file for file in files), archive]


def _words(draw: np.random.Generator, good: Good, drift: Sequence[str]) -> tuple[str, str]:
    spoken = "en" if "english-only" in drift else LANGUAGES[int(draw.choice(3, p=(0.6, 0.25, 0.15)))]
    noun, whom = _one(draw, good.nouns[spoken]), _one(draw, _FOR[spoken])
    colour = COLOURS[_one(draw, tuple(COLOURS))][1][spoken]
    maker = _one(draw, MAKERS)
    parts = [maker, f"No {int(draw.integers(100, 999))}", colour, whom]
    if draw.random() >= _UNNAMED:
        parts.insert(int(draw.integers(1, len(parts) + 1)), noun)
    if "new-words" in drift:
        parts += [_one(draw, _NEW_WORDS), _one(draw, _NEW_WORDS)]
    title = " ".join(parts).replace("à", "&agrave;").replace(" & ", " &amp; ")
    told = "" if draw.random() < _UNTOLD else _TOLD[spoken].format(noun=noun, colour=colour, whom=whom)
    return title, told


def _one(draw: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(draw.integers(len(words)))]


def _picture(draw: np.random.Generator, good: Good, drift: Sequence[str]) -> bytes:
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
