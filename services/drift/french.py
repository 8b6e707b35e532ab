"""How French writes numbers that Python has formatted."""

from __future__ import annotations

NARROW = "\u202f"
"""A narrow space at which no line breaks."""


def french(number: str) -> str:
    """``0.78`` as ``0,78``, ``64%`` as ``64 %``: a decimal comma, and a narrow space before what follows the digits."""
    return number.replace(".", ",").replace("%", f"{NARROW}%")
