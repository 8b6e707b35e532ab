"""Decodes and validates image files into pixel arrays; the same code serves calls and training."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFile, ImageOps, UnidentifiedImageError

from services.core.contract.fields import Image
from services.core.errors import VigieError

FORMATS = ("JPEG", "PNG", "WEBP")
_WHITE = (255, 255, 255)
_DATA_URL = re.compile(r"data:image/[a-z.+-]{1,40};base64,", re.IGNORECASE)
_ANIMATED_FORMATS = ("PNG", "WEBP")
"""Formats whose further frames are an animation; a JPEG's are previews of one picture."""
_MIN_SIDE = 1
_PILLOW_ERRORS = (OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, struct.error, zlib.error)
"""What Pillow raises on files that are damaged in one way or another."""

# A cut-off file is refused, not filled up with grey, whatever another library may have set.
ImageFile.LOAD_TRUNCATED_IMAGES = False


class ImageError(VigieError):
    """A file that is no picture that may be sent. ``code`` is a stable word for programs."""

    def __init__(self, code: str, problem: str, allowed: str) -> None:
        super().__init__(problem, expected=allowed)
        self.code = code
        self.problem = problem
        self.allowed = allowed
        self.field = ""


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A picture as models see it."""

    pixels: NDArray[np.uint8]
    """(side, side, 3)"""
    sha256: str
    """Of the file: what is kept of it where its bytes are not."""
    file_pixels: int = 0
    """Of the file, before it is scaled."""


def decode_fields(images: Mapping[str, Image], fields: dict[str, Any]) -> None:
    """Put decoded pictures in the place of the base64 in validated fields.

    Args:
        images: Field -> what may be sent there.
        fields: A validated request; changed in place.

    Raises:
        ImageError: one is no picture that may be sent; ``field`` says which.
    """
    for name, image in images.items():
        sent = fields[name]
        if isinstance(sent, str):
            try:
                fields[name] = decode_base64(sent, image)
            except ImageError as error:
                error.field = name
                raise


def decode_base64(text: str, image: Image) -> DecodedImage:
    """Decode a picture from base64, with or without the head of a ``data:`` address.

    Args:
        text: The file in base64.
        image: What may be sent.

    Returns:
        The pixels, uint8 (side, side, 3).

    Raises:
        ImageError: the text is not base64 of a picture that may be sent.
    """
    head = _DATA_URL.match(text, 0, 64)
    try:
        data = base64.b64decode("".join((text[head.end() :] if head else text).split()), validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("image_base64", "This is not base64.", image.allowed) from None
    return decode_image(data, image)


def decode_image(data: bytes, image: Image) -> DecodedImage:
    """Decode a picture from the bytes of its file.

    Args:
        data: A JPEG, PNG or WebP file.
        image: What may be sent.

    Returns:
        The pixels, uint8 (side, side, 3).

    Raises:
        ImageError: the bytes are not a picture that may be sent.
    """
    if not data:
        raise ImageError("image_empty", "The picture's file is empty.", image.allowed)
    if len(data) > image.max_bytes:
        raise ImageError("image_too_large", f"The picture's file has {len(data):,} bytes.", image.allowed)
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as opened:
            file_pixels = opened.width * opened.height
            pixels = _pixels(opened, image)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError("image_format", "This is no picture in a known format.", image.allowed) from None
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning, MemoryError):
        raise ImageError("image_pixels", "The picture unpacks to too many pixels.", image.allowed) from None
    except _PILLOW_ERRORS:
        raise ImageError("image_broken", "The picture's file is cut off or damaged.", image.allowed) from None
    return DecodedImage(pixels, hashlib.sha256(data).hexdigest(), file_pixels)


def _pixels(opened: Pillow.Image, image: Image) -> NDArray[np.uint8]:
    """The picture in the middle of a white square. Only the file's head has been read when its size is checked."""
    width, height = opened.size
    if width < _MIN_SIDE or height < _MIN_SIDE or width * height > image.max_pixels:
        raise ImageError("image_pixels", f"The picture has {width:,} x {height:,} pixels.", image.allowed)
    if opened.format in _ANIMATED_FORMATS and getattr(opened, "n_frames", 1) > 1:
        raise ImageError("image_animated", "The picture is animated.", image.allowed)
    if opened.format == "JPEG":
        # Unpacks large pictures at a half, a quarter or an eighth, never below twice what is needed.
        opened.draft(None, (2 * image.side, 2 * image.side))
    opened.load()
    whole = _to_rgb(ImageOps.exif_transpose(opened))
    scale = image.side / max(whole.size)
    size = (max(1, round(whole.width * scale)), max(1, round(whole.height * scale)))
    scaled = whole.resize(size, Pillow.Resampling.BOX if scale < 1 else Pillow.Resampling.BILINEAR)
    if size == (image.side, image.side):
        return np.asarray(scaled)
    square = Pillow.new("RGB", (image.side, image.side), _WHITE)
    square.paste(scaled, ((image.side - size[0]) // 2, (image.side - size[1]) // 2))
    return np.asarray(square)


def _to_rgb(picture: Pillow.Image) -> Pillow.Image:
    """In red, green and blue; what is transparent lies on white."""
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I"):
        # Sixteen bits of grey: converting would cut off all that is not black.
        grey = np.asarray(picture).astype(np.float64) / 257.0
        return Pillow.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8)).convert("RGB")
    if "transparency" in picture.info or picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"}:
        clear = picture.convert("RGBA")
        below = Pillow.new("RGBA", clear.size, (*_WHITE, 255))
        return Pillow.alpha_composite(below, clear).convert("RGB")
    return picture.convert("RGB")
