"""Place and free text that nobody needs to read again: keyed pseudonyms and coarser numbers.

The same text gives the same pseudonym, so that calls can still be grouped; without the key nobody can tell
which text it was, or try guesses."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from services.core.calls.records import PSEUDONYM
from services.core.usecases.contract import UseCase


class Pseudonyms:
    """For the fields that the use case declares as ``personal``."""

    def __init__(self, use_case: UseCase, key: str) -> None:
        self._use_case = use_case.name
        self._personal = use_case.personal
        self._key = key.encode()

    def applied(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the request as it may be kept."""
        kept = dict(request)
        for name, step in self._personal.items():
            value = kept.get(name)
            if isinstance(value, str):
                kept[name] = self._pseudonym(name, value)
            elif isinstance(value, int | float) and not isinstance(value, bool) and step is not None:
                kept[name] = round(round(value / step) * step, 9)
            elif value is not None:
                del kept[name]
        return kept

    def _pseudonym(self, field: str, text: str) -> str:
        said = f"{self._use_case}|{field}|{' '.join(text.split()).casefold()}"
        return PSEUDONYM + hmac.new(self._key, said.encode("utf-8", "replace"), "sha256").hexdigest()[:20]
