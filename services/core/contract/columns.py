"""Columns (NumPy arrays), the input of the feature function: from requests and tables; local clock and calendar."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from services.core.contract.fields import Image, image_fields, in_zone

if TYPE_CHECKING:
    import pandas as pd

    from services.core.contract.use_case import InputScenario, UseCase


ColumnType = Literal["number", "flag", "category", "text", "time", "date", "image"]

_STRING_TYPES = frozenset({"category", "text"})
_TYPES: dict[Any, ColumnType] = {bool: "flag", int: "number", float: "number", str: "text"}
_TYPES |= {datetime: "time", date: "date"}


@cache
def column_types(model: type[BaseModel]) -> dict[str, ColumnType]:
    """Return field name -> kind of column, in the order of the model's fields.

    Raises:
        TypeError: a field has a type that no column can hold.
    """
    pictures = image_fields(model)
    return {
        name: "image" if name in pictures else _column_type(info.annotation, f"{model.__name__}.{name}")
        for name, info in model.model_fields.items()
    }


def allowed_values(model: type[BaseModel], field: str) -> tuple[str, ...]:
    """Return the words that a category field may hold; none for other fields."""
    inner = _unwrap_annotation(model.model_fields[field].annotation)
    if get_origin(inner) is Literal:
        return tuple(get_args(inner))
    if isinstance(inner, type) and issubclass(inner, Enum):
        return tuple(member.value for member in inner)
    return ()


@cache
def free_text_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields of sentences, in which no two requests need say the same."""
    extras = {name: info.json_schema_extra for name, info in model.model_fields.items()}
    return frozenset(name for name, extra in extras.items() if isinstance(extra, dict) and extra.get("x-free-text"))


def from_rows(model: type[BaseModel], rows: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """Convert validated requests to columns.

    All numbers become one array and all words another, whose rows are the columns: for a single call
    that takes half the time of an array for each field.

    Args:
        model: The request model.
        rows: n requests: field -> Python value, pictures as the border decoded them.

    Returns:
        Field -> (n,): float64, objects of str, or objects of uint8 arrays (side, side, 3); see ``Columns``.
    """
    of = column_types(model)
    numbers: list[list[Any]] = []
    words: list[list[Any]] = []
    pictures: dict[str, NDArray[Any]] = {}
    for name, kind in of.items():
        if kind in _STRING_TYPES:
            words.append(["" if row[name] is None else row[name] for row in rows])
        elif kind == "time":
            numbers.append([np.nan if row[name] is None else row[name].timestamp() for row in rows])
        elif kind == "date":
            numbers.append([np.nan if row[name] is None else midnight(row[name]) for row in rows])
        elif kind == "image":
            pictures[name] = _object_column([None if row[name] is None else row[name].pixels for row in rows])
        else:
            numbers.append([np.nan if row[name] is None else row[name] for row in rows])
    number_columns = iter(np.array(numbers, dtype=np.float64))
    word_columns = iter(np.array(words, dtype=object))
    plain = of if not pictures else {name: kind for name, kind in of.items() if kind != "image"}
    found = {name: next(word_columns if kind in _STRING_TYPES else number_columns) for name, kind in plain.items()}
    return {name: pictures[name] if name in pictures else found[name] for name in of} if pictures else found


def from_frame(model: type[BaseModel], frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Convert a table whose columns are named like the request's fields to columns.

    A missing column is an error: the table and the request are one contract.

    Args:
        model: The request model.
        frame: n rows; times are UTC timestamps, a picture is the bytes of its file.

    Returns:
        Field -> (n,), exactly as ``from_rows`` makes it of the same requests.

    Raises:
        VigieError: a picture cannot be read.
        KeyError: a column is missing.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name, kind in column_types(model).items():
        series = frame[name]
        if kind in {"category", "text"}:
            columns[name] = series.astype(object).where(series.notna(), "").to_numpy(dtype=object)
        elif kind in {"time", "date"}:
            stamps = series.to_numpy(dtype="datetime64[us]")
            seconds = stamps.astype(np.int64) / 1e6
            columns[name] = np.where(np.isnat(stamps), np.nan, seconds)
        elif kind == "image":
            columns[name] = _decode_images(series.tolist(), image_fields(model)[name])
        else:
            columns[name] = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return columns


def _decode_images(files: Sequence[Any], image: Image) -> NDArray[Any]:
    # Pillow is for pictures alone; most use cases have none.
    from services.core.contract.image_decoding import decode_image  # noqa: PLC0415

    return _object_column(
        [decode_image(file, image).pixels if isinstance(file, bytes) and file else None for file in files]
    )


def _object_column(values: Sequence[Any]) -> NDArray[Any]:
    """One value per row, whatever it is: NumPy would stack pictures of one size."""
    column = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        column[place] = value
    return column


def midnight(day: date) -> float:
    """Return a date as its column holds it: seconds from 1970 to its midnight in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def select_rows(columns: Mapping[str, NDArray[Any]], rows: Any) -> dict[str, NDArray[Any]]:
    """Select rows of every column.

    Args:
        columns: Name -> (n,).
        rows: Indices, a mask (n,) or a slice.
    """
    return {name: values[rows] for name, values in columns.items()}


def mask_fields(
    model: type[BaseModel], columns: Mapping[str, NDArray[Any]], fields: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return the same rows as if some fields had not been sent.

    Args:
        model: The request model.
        columns: Field -> (n,); not changed.
        fields: The fields to blank: NaN, "" or None, by their kind.
    """
    blank: dict[str, NDArray[Any]] = {}
    for name in fields:
        kind = column_types(model)[name]
        missing: Any = None if kind == "image" else "" if kind in _STRING_TYPES else np.nan
        blank[name] = np.full_like(columns[name], missing)
    return {**columns, **blank}


def of_variant(
    use_case: UseCase, variant: InputScenario, columns: dict[str, NDArray[Any]], context: Mapping[str, Any]
) -> tuple[dict[str, NDArray[Any]], Mapping[str, Any]]:
    """Return columns and context of the same rows as the variant's caller would send them.

    Args:
        use_case: The declaration.
        variant: One of its ``input_scenarios``.
        columns: Field -> (n,); not changed.
        context: What is known from outside; not changed.
    """
    columns = mask_fields(use_case.serving.request, columns, variant.without)
    return variant.apply(columns, context) if variant.apply is not None else (columns, context)


def _unwrap_annotation(annotation: Any) -> Any:
    """The annotation without ``Annotated`` and ``| None``."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            inner = [part for part in get_args(annotation) if part is not type(None)]
            if len(inner) != 1:
                raise TypeError(f"a request field has one type and may be missing, not {annotation}")
            annotation = inner[0]
        else:
            return annotation


def _column_type(annotation: Any, where: str) -> ColumnType:
    inner = _unwrap_annotation(annotation)
    if get_origin(inner) is Literal or (isinstance(inner, type) and issubclass(inner, Enum)):
        return "category"
    if (kind := _TYPES.get(inner)) is not None:
        return kind
    raise TypeError(f"{where}: a request field is a number, flag, category, text, time or date, not {annotation}")


__all__ = ["LocalTime", "day_number", "in_zone", "local_day", "local_time"]

_FIRST, _LAST = 1990, 2050


class LocalTime(NamedTuple):
    """Clock and calendar; all arrays have the shape of the times that they were made from, and NaN times give NaN."""

    hour: NDArray[np.float64]
    """0.0 to just below 24.0, with minutes as a fraction."""
    weekday: NDArray[np.float64]
    """Monday is 0."""
    day: NDArray[np.float64]
    """Days since 1970-01-01 of the local date."""
    year_fraction: NDArray[np.float64]
    """Position in a year of 365.2425 days, 0 to below 1; near the true fraction, within a day."""


@cache
def _transitions(zone: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """UTC seconds at which the offset changes, and the offset from there on, in seconds."""
    info = ZoneInfo(zone)

    def offset(moment: datetime) -> float:
        delta = moment.astimezone(info).utcoffset()
        assert delta is not None
        return delta.total_seconds()

    starts, offsets = [-np.inf], [offset(datetime(_FIRST, 1, 1, tzinfo=UTC))]
    moment, end = datetime(_FIRST, 1, 1, tzinfo=UTC), datetime(_LAST, 1, 1, tzinfo=UTC)
    while moment < end:
        after = moment + timedelta(days=1)
        if offset(after) != offset(moment):
            low, high = moment, after
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle) == offset(moment) else (low, middle)
            starts.append(round(high.timestamp()))
            offsets.append(offset(after))
        moment = after
    return np.array(starts), np.array(offsets)


def local_time(seconds: NDArray[np.float64], zone: str) -> LocalTime:
    """Compute clock and calendar of a time zone.

    Args:
        seconds: Seconds since 1970 UTC, float64 of any shape.
        zone: IANA name of the time zone.

    Returns:
        Arrays of the same shape.
    """
    day, hour = local_day(seconds, zone)
    return LocalTime(
        hour=hour,
        weekday=np.mod(day + 3, 7),
        day=day,
        year_fraction=np.mod(day / 365.2425, 1.0),
    )


def local_day(seconds: NDArray[np.float64], zone: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute ``day`` and ``hour`` of ``LocalTime`` alone, for those who look the calendar up by day.

    Args:
        seconds: Seconds since 1970 UTC, float64 of any shape.
        zone: IANA name of the time zone.

    Returns:
        Days since 1970-01-01 of the local date, and hours 0 to below 24, float64 of the same shape.
    """
    starts, offsets = _transitions(zone)
    local = seconds + offsets[starts.searchsorted(seconds, side="right") - 1]
    day = np.floor(local / 86_400)
    return day, (local - day * 86_400) / 3_600


def day_number(value: date) -> int:
    """Return days since 1970-01-01, as in ``LocalTime.day``."""
    return value.toordinal() - date(1970, 1, 1).toordinal()
