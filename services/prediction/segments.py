"""Reading a finished segment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from services.core.calls.records import Record, decode


class Unreadable(NamedTuple):
    line: bytes
    reason: str


class Segment(NamedTuple):
    records: list[Record]
    unreadable: list[Unreadable]
    torn: bool
    """Whether the last line was cut off: its answer never left, because a record comes before its answer."""


def read_segment(path: Path) -> Segment:
    """
    Raises:
        OSError: the file cannot be read.
    """
    *lines, rest = path.read_bytes().split(b"\n")
    return _decoded(lines, torn=bool(rest))


def _decoded(lines: Sequence[bytes], *, torn: bool) -> Segment:
    records: list[Record] = []
    unreadable: list[Unreadable] = []
    for line in lines:
        if not line:
            continue
        try:
            records.append(decode(line))
        except ValueError as error:
            unreadable.append(Unreadable(line, str(error).splitlines()[0]))
    return Segment(records, unreadable, torn)
