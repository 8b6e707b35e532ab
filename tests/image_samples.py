"""Pictures of all kinds, made here."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageDraw


def drawing(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).rectangle((size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2), fill="#b22222")
    return picture.convert(mode)


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def jpeg(**options: Any) -> bytes:
    return saved(drawing(**options), "JPEG")


def base64_of(file: bytes) -> str:
    return base64.b64encode(file).decode()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says that it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def animation(format: str) -> bytes:
    frames = [drawing(), drawing().rotate(90), drawing().rotate(180)]
    return saved(frames[0], format, save_all=True, append_images=frames[1:], duration=50)
