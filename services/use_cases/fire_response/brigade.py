"""Constants of the London Fire Brigade, conversion to the British national grid, and the map outline.

Standard library alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, radians, sin, sqrt, tan


@dataclass(frozen=True, slots=True)
class Brigade:
    """Constants of a fire brigade: area, services, objective and time zone."""

    name: str
    zone: str
    country: str
    """For the bank holidays of the ``holidays`` package."""
    country_part: str
    own_service: str
    """What the column FRS says for the brigade's own ground."""
    objective_seconds: float
    easting: tuple[float, float]
    """Where calls may come from, metres of the national grid."""
    northing: tuple[float, float]
    cell: float
    """Side of the squares, in metres, that the nearest past incidents are looked up in."""
    pump_orders: int
    """The pumps whose attendance is learned: the first and the second."""
    usual_seconds: tuple[float, ...]
    """Published average attendance of the first and the second pump: the baseline."""
    usual_spread: tuple[float, float]
    """The baseline's interval as shares of the usual seconds."""
    usual_miss: tuple[float, ...]
    """Share of first and second pumps that miss the objective."""
    usual_pumps: dict[str, tuple[float, ...]]
    """Share of incidents with 1, 2, 3, 4 and more pumps, by incident group; "" is any group."""
    weather: bool
    """Whether the weather is a feature of attendance."""
    areas: dict[str, str]
    """Area of the subgroups (borough, upper case) -> part of the city."""


def _parts(**names: str) -> dict[str, str]:
    return {name: part for part, listed in names.items() for name in listed.split(", ")}


LONDON = Brigade(
    name="London Fire Brigade",
    zone="Europe/London",
    country="GB",
    country_part="ENG",
    own_service="London",
    objective_seconds=360.0,
    easting=(490_000.0, 575_000.0),
    northing=(145_000.0, 230_000.0),
    cell=250.0,
    pump_orders=2,
    usual_seconds=(312.0, 390.0),
    usual_spread=(0.45, 1.85),
    usual_miss=(0.28, 0.54),
    usual_pumps={
        "Fire": (0.53, 0.35, 0.07, 0.04, 0.01),
        "False Alarm": (0.43, 0.45, 0.08, 0.03, 0.01),
        "Special Service": (0.85, 0.12, 0.02, 0.005, 0.005),
        "": (0.59, 0.32, 0.06, 0.02, 0.01),
    },
    weather=False,
    areas=_parts(
        inner_north="CAMDEN, ISLINGTON, HACKNEY, TOWER HAMLETS, CITY OF LONDON, WESTMINSTER, KENSINGTON AND CHELSEA, "
        "HAMMERSMITH AND FULHAM",
        inner_south="LAMBETH, SOUTHWARK, LEWISHAM, GREENWICH, WANDSWORTH",
        outer_east="BARKING AND DAGENHAM, BEXLEY, HAVERING, NEWHAM, REDBRIDGE, WALTHAM FOREST",
        outer_north="BARNET, ENFIELD, HARINGEY",
        outer_south="BROMLEY, CROYDON, KINGSTON UPON THAMES, MERTON, SUTTON",
        outer_west="BRENT, EALING, HARROW, HILLINGDON, HOUNSLOW, RICHMOND UPON THAMES",
    ),
)


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


_BOUNDARY = (
    (51.690, -0.165), (51.692, -0.090), (51.680, -0.012), (51.640, 0.020), (51.615, 0.068), (51.607, 0.088),
    (51.623, 0.138), (51.625, 0.200), (51.632, 0.225), (51.607, 0.265), (51.590, 0.290), (51.565, 0.313),
    (51.540, 0.334), (51.530, 0.265), (51.505, 0.240), (51.487, 0.210), (51.480, 0.217), (51.458, 0.180),
    (51.430, 0.155), (51.390, 0.152), (51.340, 0.130), (51.310, 0.085), (51.292, 0.042), (51.292, 0.015),
    (51.329, 0.002), (51.330, -0.050), (51.318, -0.080), (51.287, -0.125), (51.305, -0.160), (51.330, -0.160),
    (51.345, -0.217), (51.366, -0.245), (51.330, -0.318), (51.350, -0.330), (51.390, -0.310), (51.405, -0.360),
    (51.432, -0.420), (51.457, -0.458), (51.470, -0.505), (51.500, -0.490), (51.540, -0.483), (51.600, -0.500),
    (51.630, -0.497), (51.620, -0.440), (51.613, -0.404), (51.620, -0.370), (51.640, -0.316), (51.642, -0.257),
    (51.656, -0.250), (51.670, -0.200), (51.668, -0.180), (51.690, -0.165),
)  # fmt: skip
_THAMES = (
    (51.390, -0.310), (51.420, -0.300), (51.450, -0.320), (51.485, -0.290), (51.472, -0.250), (51.489, -0.228),
    (51.466, -0.215), (51.470, -0.178), (51.484, -0.150), (51.486, -0.124), (51.505, -0.120), (51.510, -0.105),
    (51.505, -0.075), (51.505, -0.035), (51.490, -0.030), (51.483, -0.010), (51.505, 0.003), (51.495, 0.030),
    (51.497, 0.070), (51.512, 0.110), (51.497, 0.170), (51.487, 0.210),
)  # fmt: skip

MAP_OUTLINE = tuple(
    tuple((round(east), round(north)) for east, north in (to_grid(*point) for point in line))
    for line in (_BOUNDARY, _THAMES)
)
"""Metres of the national grid."""
