"""What every source of raw files offers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a source brought, by the files' names."""

    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    """Files whose content had landed before."""
    ignored: dict[str, str] = field(default_factory=dict)
    """Files that belong to no table, and why."""


class Source(Protocol):
    @property
    def name(self) -> str: ...

    def available(self) -> bool:
        """Whether there is anything to fetch; quick, and never an error."""
        ...

    def fetch(self, folder: Path) -> Fetched:
        """Add what is new to the landing folder.

        Raises:
            VigieError: something is there and cannot be had.
        """
        ...


def first_of(ignored: Mapping[str, str]) -> dict[str, str]:
    """A few of the files that were left alone, for a log line: there may be thousands."""
    return dict(itertools.islice(ignored.items(), _SHOWN))
