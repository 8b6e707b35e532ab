"""Describes request and response fields for API pages and forms, and attaches time zones.

Pydantic and the standard library alone.
"""

from __future__ import annotations

import re
import types
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Text(NamedTuple):
    """A sentence or label for people, in both languages of the platform.

    Attributes:
        en: English.
        fr: French.
    """

    en: str
    fr: str


def request_field(
    default: Any = ...,
    *,
    title: Text,
    help: Text,
    examples: list[Any],
    unit: str | None = None,
    free_text: bool = False,
    years: tuple[int, int] | None = None,
    **bounds: Any,
) -> Any:
    """Make a pydantic field with its title and help in both languages, its unit, bounds and examples.

    English goes where OpenAPI expects it; French and the unit travel as ``x-`` extensions.

    Args:
        default: The value of a field that was not sent; without one the field is required.
        title: Label of the field.
        help: What to enter.
        examples: Valid values, the one for documentation first.
        unit: Unit of a number, for example ``km``.
        free_text: Whether it holds sentences, in which a value that was never seen before is no news.
        years: Of a time: the first and last year that are accepted, where they are not those of all use cases.
        **bounds: Pydantic's own, for example ``ge``, ``le`` and ``max_length``.
    """
    extra: dict[str, Any] = {"x-title-fr": title.fr, "x-help-fr": help.fr}
    if unit is not None:
        extra["x-unit"] = unit
    if free_text:
        extra["x-free-text"] = True
    if years is not None:
        extra["x-years"] = list(years)
    return Field(
        default,
        title=title.en,
        description=help.en,
        examples=examples,
        json_schema_extra=extra,
        **bounds,
    )


def response_field(title: Text, help: Text, *, unit: str | None = None) -> Any:
    """Make a pydantic field of an answer, with its title and help in both languages.

    Args:
        title: Label of the field.
        help: What it says.
        unit: Unit of a number, for example ``s``.
    """
    extra: dict[str, Any] = {"x-title-fr": title.fr, "x-help-fr": help.fr}
    if unit is not None:
        extra["x-unit"] = unit
    return Field(title=title.en, description=help.en, json_schema_extra=extra)


FIRST_YEAR, LAST_YEAR = 1990, 2099
"""Years in which calls, reports and filters may lie, unless a field declares others (``years``)."""
MOMENT_RULE = "a date and time in ISO 8601, such as 2024-10-12T18:40:00+02:00"
_ISO_TIME = re.compile(r"(\d{4})-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")
_ISO_DATE = re.compile(r"(\d{4})-\d{2}-\d{2}")


def check_time(value: object, *, day: bool = False, years: tuple[int, int] = (FIRST_YEAR, LAST_YEAR)) -> None:
    """Check a time before it is parsed: pydantic takes numbers, in text too, as seconds since 1970.

    Args:
        value: As it was sent.
        day: Whether a day is expected in place of a moment.
        years: The first and last year that are accepted.

    Raises:
        ValueError: it is no text in ISO 8601, or lies in another year.
    """
    found = (_ISO_DATE if day else _ISO_TIME).fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a day in ISO 8601, such as 2024-10-12" if day else MOMENT_RULE)
    if not years[0] <= int(found[1]) <= years[1]:
        raise ValueError(f"a time in the years {years[0]} to {years[1]}")


def declared_years(info: FieldInfo) -> tuple[int, int]:
    """The years of a request's time, those that its field declares or those of all use cases."""
    extra: Any = info.json_schema_extra
    first, last = extra.get("x-years", (FIRST_YEAR, LAST_YEAR)) if isinstance(extra, dict) else (FIRST_YEAR, LAST_YEAR)
    return int(first), int(last)


CLOCK_SKEW = timedelta(hours=1)
"""How far a clock elsewhere may be ahead of the service's."""
_EARLIEST_ZONE = timedelta(hours=14)


def is_ahead(own: date | None, arrival: datetime) -> bool:
    """Whether a call's own time, a moment with a zone or a day, is too far after its arrival to be true.

    Its arrival is then what counts in windows, monitoring and training sets.
    """
    if own is None:
        return False
    if isinstance(own, datetime):
        return own > arrival + CLOCK_SKEW
    return own > (arrival + CLOCK_SKEW + _EARLIEST_ZONE).date()


def _checked(value: object) -> object:
    if not isinstance(value, datetime) and value is not None:
        check_time(value)
    return value.strip() if isinstance(value, str) else value


Moment = Annotated[datetime, BeforeValidator(_checked)]
"""A moment as it is sent in reports and filters: text in ISO 8601, never a number, of the years above."""


@dataclass(frozen=True, slots=True)
class Image:
    """Marks a text field as a picture: ``Annotated[str, Image()]``.

    Callers send a JPEG, PNG or WebP file in base64, or upload it; the models see it as a white square with the picture
    scaled into its middle.

    Attributes:
        side: Width and height of the square, pixels.
        max_bytes: The largest file, bytes.
        max_pixels: The largest picture that a file may unpack to, pixels.
    """

    side: int = 112
    max_bytes: int = 4_000_000
    max_pixels: int = 16_000_000

    @property
    def longest(self) -> int:
        """Characters of the largest file in base64, with line breaks and the head of a ``data:`` address."""
        return self.max_bytes * 4 // 3 + self.max_bytes // 48 + 200

    @property
    def allowed(self) -> str:
        """What may be sent, for people."""
        size = f"{self.max_bytes / 1e6:g} MB and {self.max_pixels / 1e6:g} megapixels"
        return f"a JPEG, PNG or WebP picture in base64 of at most {size}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.str_schema(max_length=self.longest, strict=True)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "type": "string",
            "contentEncoding": "base64",
            "contentMediaType": "image/*",
            "maxLength": self.longest,
            "x-image": {
                "formats": ["image/jpeg", "image/png", "image/webp"],
                "max_bytes": self.max_bytes,
                "max_pixels": self.max_pixels,
            },
        }


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def in_zone(moment: datetime, zone: str, *, again: bool = False) -> datetime:
    """Attach a time zone to a naive moment.

    Of an hour that happens twice the first is meant; a time inside the hour that never happens is moved on by the gap.

    Args:
        moment: A moment with a zone, which is returned as it is, or a naive one.
        zone: IANA name of the use case's zone.
        again: Whether the second is meant of an hour that happens twice.
    """
    if moment.tzinfo is not None:
        return moment
    first = moment.replace(tzinfo=_zone(zone)).astimezone(UTC)
    return max(first, moment.replace(tzinfo=_zone(zone), fold=1).astimezone(UTC)) if again else first


@cache
def image_fields(model: type[BaseModel]) -> dict[str, Image]:
    """Return the fields that hold a picture, with what may be sent there."""
    found = {
        name: _image_in_annotation(info.annotation) or _image_in_metadata(info.metadata)
        for name, info in model.model_fields.items()
    }
    return {name: image for name, image in found.items() if image is not None}


def _image_in_annotation(annotation: Any) -> Image | None:
    """The mark of a picture's field, wherever in its annotation it stands."""
    if get_origin(annotation) is Annotated:
        return _image_in_metadata(get_args(annotation)[1:]) or _image_in_annotation(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return next((found for part in get_args(annotation) if (found := _image_in_annotation(part)) is not None), None)
    return None


def _image_in_metadata(metadata: Sequence[Any]) -> Image | None:
    return next((mark for mark in metadata if isinstance(mark, Image)), None)
