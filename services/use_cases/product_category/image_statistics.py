"""Image descriptors (gradients, colours, textures) and image statistics for drift. NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

SIDE = 112
"""Pictures come as squares of this side, white around the picture."""
_CROP = 64
_CELL = 8
_BINS = 9
_WHITE = 238
"""A pixel whose darkest channel is lighter than this is background."""
_EPSILON = np.float32(1e-3)


def image_descriptors(pixels: Pixels) -> Floats:
    """Describe an image by gradient histograms (HOG), colours, local binary patterns and outline.

    Args:
        pixels: (side, side, 3), uint8, RGB; ``side`` is ``SIDE``.

    Returns:
        Descriptor (p,), float32, without unit; p is ``DESCRIPTOR_WIDTH``.

    Source: N. Dalal, B. Triggs, Histograms of oriented gradients for human detection, CVPR 2005; T. Ojala et al.,
    Multiresolution gray-scale and rotation invariant texture classification, IEEE PAMI 24 (2002) 971-987.
    """
    colour = pixels.astype(np.float32) * np.float32(1 / 255)
    grey = _grey(colour)
    shown = np.minimum(np.minimum(pixels[..., 0], pixels[..., 1]), pixels[..., 2]) < _WHITE
    top, bottom, left, right = _bounding_box(shown)
    rows, columns = _places(top, bottom), _places(left, right)
    crop = _resample(colour, rows, columns)
    grey_crop = _grey(crop)
    mask = shown[np.ix_(rows.round().astype(np.int64), columns.round().astype(np.int64))]
    parts = (
        _gradients(grey),
        _gradients(grey_crop),
        _colours(crop, mask),
        _patterns(grey_crop),
        _shape(mask, shown, (top, bottom, left, right)),
    )
    return np.concatenate([part * weight for part, weight in zip(parts, _WEIGHTS, strict=True)])


def _grey(colour: Floats) -> Floats:
    return colour[..., 0] * np.float32(0.299) + colour[..., 1] * np.float32(0.587) + colour[..., 2] * np.float32(0.114)


def _bounding_box(shown: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First and last row and column of the product; the whole picture where all of it is background."""
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(rows):
        return 0, len(shown) - 1, 0, len(shown) - 1
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def _places(first: int, last: int) -> Floats:
    return np.linspace(first, last, _CROP, dtype=np.float32)


def _resample(picture: Floats, rows: Floats, columns: Floats) -> Floats:
    """The picture at these places, bilinear."""
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = np.minimum(top + 1, len(picture) - 1), np.minimum(left + 1, picture.shape[1] - 1)
    y, x = (rows - top)[:, None, None], (columns - left)[None, :, None]
    upper, lower = picture[top], picture[down]
    vertical = upper + (lower - upper) * y
    return vertical[:, left] + (vertical[:, right] - vertical[:, left]) * x


def _gradients(grey: Floats) -> Floats:
    """Histograms of gradient directions per cell, each normalised with its neighbours in blocks of four cells."""
    side = len(grey)
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    down[1:-1] = grey[2:] - grey[:-2]
    strength = np.sqrt(across * across + down * down)
    place = np.arctan2(down, across) * np.float32(_BINS / np.pi)
    low = np.floor(place)
    share = place - low
    first = low.astype(np.int64) % _BINS
    cells = side // _CELL
    cell = np.arange(side) // _CELL
    index = (cell[:, None] * cells + cell[None, :]) * _BINS
    size = cells * cells * _BINS
    counts = np.bincount((index + first).ravel(), (strength * (1 - share)).ravel(), size)
    counts += np.bincount((index + (first + 1) % _BINS).ravel(), (strength * share).ravel(), size)
    histogram = counts.astype(np.float32).reshape(cells, cells, _BINS)
    blocks = np.concatenate([histogram[:-1, :-1], histogram[:-1, 1:], histogram[1:, :-1], histogram[1:, 1:]], axis=2)
    length = np.sqrt((blocks * blocks).sum(axis=2, keepdims=True) + _EPSILON)
    clipped = np.minimum(blocks / length, np.float32(0.2))
    length = np.sqrt((clipped * clipped).sum(axis=2, keepdims=True) + _EPSILON)
    return np.sqrt(clipped / length).ravel() / np.float32(cells - 1)


def _colours(crop: Floats, mask: NDArray[np.bool_]) -> Floats:
    """Shares of colours (5 levels of each channel, of the product's pixels), and mean colours on a grid of 6 x 6."""
    level = np.minimum((crop * 5).astype(np.int64), 4)
    code = (level[..., 0] * 5 + level[..., 1]) * 5 + level[..., 2]
    chosen = code[mask]
    counts = np.bincount(chosen, minlength=125).astype(np.float32) / max(len(chosen), 1)
    whole = crop[2:62].reshape(6, 10, _CROP, 3)[:, :, 2:62].reshape(6, 10, 6, 10, 3).mean(axis=(1, 3))
    return np.concatenate([np.sqrt(counts), whole.ravel() * np.float32(0.25)])


def _patterns(grey: Floats) -> Floats:
    """Shares of uniform local binary patterns on a grid of 3 x 3."""
    centre = grey[1:-1, 1:-1] + np.float32(0.01)
    side = len(grey)
    code = np.zeros(centre.shape, dtype=np.uint8)
    for bit, (y, x) in enumerate(((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))):
        code |= (grey[y : side - 2 + y, x : side - 2 + x] > centre).astype(np.uint8) << bit
    part = np.minimum(np.arange(side - 2) * 3 // (side - 2), 2)
    index = (part[:, None] * 3 + part[None, :]) * 59 + _UNIFORM[code]
    counts = np.bincount(index.ravel(), minlength=9 * 59).astype(np.float32).reshape(9, 59)
    return np.sqrt(counts / counts.sum(axis=1, keepdims=True)).ravel() / np.float32(3)


def _shape(mask: NDArray[np.bool_], shown: NDArray[np.bool_], box: tuple[int, int, int, int]) -> Floats:
    """The product's outline on a grid of 16 x 16, its height, width and share of the picture."""
    outline = mask.reshape(16, 4, 16, 4).mean(axis=(1, 3), dtype=np.float32)
    top, bottom, left, right = box
    height, width = (bottom - top + 1) / SIDE, (right - left + 1) / SIDE
    sizes = np.array([height, width, np.log(height / width), shown.mean(), mask.mean()], dtype=np.float32)
    return np.concatenate([outline.ravel() * np.float32(1 / 16), sizes * np.float32(0.5)])


def _uniform_codes() -> NDArray[np.int64]:
    """Pattern of 8 bits -> its number among the 58 with at most two changes around the ring; 58 for the others."""
    found = np.full(256, 58, dtype=np.int64)
    number = 0
    for code in range(256):
        ring = [code >> bit & 1 for bit in range(8)]
        if sum(a != b for a, b in zip(ring, ring[1:] + ring[:1], strict=True)) <= 2:
            found[code] = number
            number += 1
    return found


_UNIFORM = _uniform_codes()
_SPREADS = (1.0548, 1.0582, 0.9288, 0.4412, 0.4692)
"""Root of the mean squared distance from the mean of each part, over some thousand pictures of products."""
_PARTS = (1.0, 1.0, 0.6, 0.6, 1.0)
"""Relative weights of the parts, chosen on held-out products."""
_WEIGHTS = tuple(np.float32(part / spread) for part, spread in zip(_PARTS, _SPREADS, strict=True))
DESCRIPTOR_WIDTH = 4 * _BINS * ((SIDE // _CELL - 1) ** 2 + (_CROP // _CELL - 1) ** 2) + 125 + 108 + 9 * 59 + 256 + 5


STATISTIC_NAMES = ("brightness", "contrast", "sharpness", "blank_share")
_BLANK = 250
"""A pixel whose darkest channel is as light as this is blank."""
_RED, _GREEN, _BLUE = np.float32(0.299 / 255), np.float32(0.587 / 255), np.float32(0.114 / 255)


def image_statistics(pixels: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Brightness, contrast, sharpness and blank share of an image, for drift monitoring.

    Args:
        pixels: (side, side, 3), uint8, RGB; the grey values are (n, n).

    Returns:
        Mean and standard deviation of the grey values (0 to 1), standard deviation of their second differences (a sharp
        image has strong edges), share of blank pixels (0 to 1).

    Source: J. L. Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000.
    """
    grey = pixels[..., 0] * _RED + pixels[..., 1] * _GREEN + pixels[..., 2] * _BLUE
    middle = grey[1:-1, 1:-1]
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle
    darkest = np.minimum(np.minimum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])
    blank = (darkest >= _BLANK).mean()
    return float(grey.mean()), float(grey.std()), float(edges.std()), float(blank)
