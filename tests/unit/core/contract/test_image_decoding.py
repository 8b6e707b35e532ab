"""What is taken as a picture, and what is refused before it can do harm."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image as Pillow

from services.core.contract.fields import Image
from services.core.contract.image_decoding import ImageError, decode_base64, decode_image
from tests.image_samples import animation, base64_of, bomb, drawing, jpeg, saved

IMAGE = Image(side=112, max_bytes=200_000, max_pixels=1_000_000)


@pytest.mark.parametrize(
    "file",
    [
        jpeg(),
        saved(drawing(), "PNG"),
        saved(drawing(), "WEBP"),
        saved(drawing("CMYK"), "JPEG"),
        saved(drawing("L"), "JPEG"),
        saved(drawing("P"), "PNG"),
        saved(drawing("RGBA"), "PNG"),
        saved(drawing("LA"), "PNG"),
        saved(drawing("1"), "PNG"),
        saved(drawing("L").convert("I;16"), "PNG"),
        saved(drawing(size=(1, 1)), "PNG"),
        saved(drawing(size=(900, 3)), "PNG"),
    ],
    ids=["jpeg", "png", "webp", "cmyk", "grey", "palette", "alpha", "grey alpha", "bits", "16 bits", "one", "strip"],
)
def test_pictures_of_all_kinds_become_squares_of_bytes(file: bytes) -> None:
    pixels = decode_image(file, IMAGE).pixels
    assert pixels.shape == (112, 112, 3)
    assert pixels.dtype == np.uint8


def test_a_picture_is_scaled_into_the_middle_of_a_white_square() -> None:
    pixels = decode_image(saved(Pillow.new("RGB", (200, 100), "black"), "PNG"), IMAGE).pixels
    assert (pixels[:28] == 255).all()
    assert (pixels[84:] == 255).all()
    assert (pixels[28:84] == 0).all()


def test_what_is_transparent_is_white() -> None:
    clear = Pillow.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (decode_image(saved(clear, "PNG"), IMAGE).pixels == 255).all()
    palette = Pillow.new("P", (20, 20), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert (decode_image(saved(palette, "PNG", transparency=0), IMAGE).pixels == 255).all()


def test_sixteen_bits_of_grey_keep_their_light() -> None:
    half = Pillow.fromarray(np.full((20, 20), 128 * 257, dtype=np.uint16))
    assert (decode_image(saved(half, "PNG"), IMAGE).pixels == 128).all()


def test_a_picture_is_turned_as_its_camera_says() -> None:
    picture = Pillow.new("RGB", (100, 50), "black")
    exif = picture.getexif()
    exif[0x0112] = 6
    turned = decode_image(saved(picture, "JPEG", exif=exif), IMAGE).pixels
    assert (turned[:, :20] > 250).all()
    assert (turned[5:-5, 40:70] < 5).all()


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "image_empty"),
        (b"this is a text, renamed to .jpg", "image_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image_format"),
        (saved(drawing(), "GIF"), "image_format"),
        (saved(drawing(), "TIFF"), "image_format"),
        (saved(drawing(), "BMP"), "image_format"),
        (jpeg()[:-200], "image_broken"),
        (saved(drawing(), "PNG")[:-40], "image_broken"),
        (saved(drawing(), "WEBP")[:-30], "image_broken"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "image_format"),
        (animation("PNG"), "image_animated"),
        (animation("WEBP"), "image_animated"),
        (b"\xff" * 200_001, "image_too_large"),
        (saved(drawing(size=(1_001, 1_000)), "PNG"), "image_pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_single_picture_of_bearable_size_is_refused(file: bytes, code: str) -> None:
    with pytest.raises(ImageError) as refused:
        decode_image(file, IMAGE)
    assert refused.value.code == code


@pytest.mark.parametrize("side", [5_000, 12_000, 50_000])
def test_a_bomb_is_refused_at_once_and_without_memory(side: int) -> None:
    file = bomb(side, side)
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(ImageError) as refused:
        decode_image(file, IMAGE)
    seconds, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.code == "image_pixels"
    assert seconds < 1
    assert peak < 5_000_000


def test_base64_may_have_line_breaks_and_the_head_of_a_data_address() -> None:
    text = base64_of(jpeg())
    broken = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    plain = decode_base64(text, IMAGE)
    for written in (broken, "data:image/jpeg;base64," + text):
        assert decode_base64(written, IMAGE).sha256 == plain.sha256


@pytest.mark.parametrize("text", ["not base64!", "/etc/passwd", "https://example.org/a.jpg", "AAA"])
def test_what_is_no_base64_of_a_picture_is_refused_and_no_path_is_followed(text: str) -> None:
    with pytest.raises(ImageError) as refused:
        decode_base64(text, IMAGE)
    assert refused.value.code in {"image_base64", "image_format"}
    assert text not in str(refused.value)
