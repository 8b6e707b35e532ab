"""From latitude and longitude to the British national grid, with the standard library alone.

A Helmert transformation from WGS84 to OSGB36 and a transverse Mercator projection, as published by
the Ordnance Survey in "A guide to coordinate systems in Great Britain" (sections 6.6 and C.1). The
Helmert step is good to about 5 m, well below the 50 m that official places are rounded to.
"""

from __future__ import annotations

from math import atan2, cos, radians, sin, sqrt, tan

_WGS84 = (6_378_137.0, 6_356_752.3142)
_AIRY = (6_377_563.396, 6_356_256.909)
_SHIFT = (-446.448, 125.157, -542.060)
_TURN = tuple(radians(seconds / 3600) for seconds in (-0.1502, -0.2470, -0.8421))
_SCALE = 1 + 20.4894e-6
_F0, _LATITUDE0, _LONGITUDE0 = 0.9996012717, radians(49), radians(-2)
_EASTING0, _NORTHING0 = 400_000.0, -100_000.0


def to_grid(latitude: float, longitude: float) -> tuple[float, float]:
    """Easting and northing in metres of a WGS84 position in degrees."""
    phi, lam = _to_osgb36(radians(latitude), radians(longitude))
    a, b = _AIRY
    e2 = 1 - (b * b) / (a * a)
    n = (a - b) / (a + b)
    s, c, t = sin(phi), cos(phi), tan(phi)
    nu = a * _F0 / sqrt(1 - e2 * s * s)
    rho = a * _F0 * (1 - e2) / (1 - e2 * s * s) ** 1.5
    eta2 = nu / rho - 1
    difference, total = phi - _LATITUDE0, phi + _LATITUDE0
    arc = b * _F0 * (
        (1 + n + 1.25 * n**2 + 1.25 * n**3) * difference
        - (3 * n + 3 * n**2 + 2.625 * n**3) * sin(difference) * cos(total)
        + (1.875 * n**2 + 1.875 * n**3) * sin(2 * difference) * cos(2 * total)
        - 35 / 24 * n**3 * sin(3 * difference) * cos(3 * total)
    )  # fmt: skip
    d = lam - _LONGITUDE0
    northing = (
        arc + _NORTHING0
        + nu / 2 * s * c * d**2
        + nu / 24 * s * c**3 * (5 - t**2 + 9 * eta2) * d**4
        + nu / 720 * s * c**5 * (61 - 58 * t**2 + t**4) * d**6
    )  # fmt: skip
    easting = (
        _EASTING0
        + nu * c * d
        + nu / 6 * c**3 * (nu / rho - t**2) * d**3
        + nu / 120 * c**5 * (5 - 18 * t**2 + t**4 + 14 * eta2 - 58 * t**2 * eta2) * d**5
    )
    return easting, northing


def _to_osgb36(phi: float, lam: float) -> tuple[float, float]:
    a, b = _WGS84
    e2 = 1 - (b * b) / (a * a)
    nu = a / sqrt(1 - e2 * sin(phi) ** 2)
    x, y, z = nu * cos(phi) * cos(lam), nu * cos(phi) * sin(lam), (1 - e2) * nu * sin(phi)
    (tx, ty, tz), (rx, ry, rz) = _SHIFT, _TURN
    x, y, z = (
        tx + _SCALE * x - rz * y + ry * z,
        ty + rz * x + _SCALE * y - rx * z,
        tz - ry * x + rx * y + _SCALE * z,
    )
    a, b = _AIRY
    e2 = 1 - (b * b) / (a * a)
    p = sqrt(x * x + y * y)
    latitude = atan2(z, p * (1 - e2))
    for _ in range(6):
        nu = a / sqrt(1 - e2 * sin(latitude) ** 2)
        latitude = atan2(z + e2 * nu * sin(latitude), p)
    return latitude, atan2(y, x)
