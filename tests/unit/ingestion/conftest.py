"""The toy use case and ways to write its raw files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from services.core.contract.use_case import UseCase
from tests.toy.declared import toy_declared

HEADER = ("delivery_id", "called_at", "distance", "kind", "town", "seconds", "size")
Delivery = tuple[str, ...]


@pytest.fixture(autouse=True)
def toy() -> Iterator[UseCase]:
    with toy_declared() as use_case:
        yield use_case


@pytest.fixture
def delivery() -> Callable[..., Delivery]:
    """One good row; what matters to a test is overridden."""

    def make(number: int = 1, **changed: str) -> Delivery:
        row = {
            "delivery_id": f"D{number:04d}",
            "called_at": f"2024-01-{number % 28 + 1:02d}T10:00:00Z",
            "distance": "3.5",
            "kind": "parcel",
            "town": "east",
            "seconds": "700",
            "size": "small",
        }
        return tuple({**row, **changed}.values())

    return make


@pytest.fixture
def as_csv() -> Callable[..., bytes]:
    def make(rows: Sequence[Delivery], header: Sequence[str] = HEADER, delimiter: str = ",") -> bytes:
        stream = io.StringIO(newline="")
        csv.writer(stream, delimiter=delimiter).writerows([header, *rows])
        return stream.getvalue().encode()

    return make


@pytest.fixture
def deliveries(tmp_path: Path, delivery: Callable[..., Delivery], as_csv: Callable[..., bytes]) -> Callable[..., Path]:
    """Write a file of good deliveries, numbered, plus given rows, below ``tmp_path``."""

    def write(name: str, numbers: Sequence[int] = (), *extra: Delivery) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_csv([*(delivery(number) for number in numbers), *extra]))
        return path

    return write
