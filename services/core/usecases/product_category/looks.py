"""Brightness, contrast, sharpness and blank share of a picture: what drift of pictures is told by. NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = ("brightness", "contrast", "sharpness", "blank_share")
_BLANK = 250
"""A pixel whose darkest channel is as light as this is blank."""
_RED, _GREEN, _BLUE = np.float32(0.299 / 255), np.float32(0.587 / 255), np.float32(0.114 / 255)


def looks(pixels: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Of a picture (side, side, 3): mean and spread of the grey values (0 to 1), spread of their second
    differences (Pech-Pacheco 2000: a sharp picture has strong edges), share of blank pixels."""
    grey = pixels[..., 0] * _RED + pixels[..., 1] * _GREEN + pixels[..., 2] * _BLUE
    middle = grey[1:-1, 1:-1]
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle
    darkest = np.minimum(np.minimum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])
    blank = (darkest >= _BLANK).mean()
    return float(grey.mean()), float(grey.std()), float(edges.std()), float(blank)
