"""Settings of the prediction log, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Self

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator

from services.core.settings import Settings

DEFAULT = "default"
_DAYS = TypeAdapter(dict[str, int])


class PredictionLogSettings(Settings):
    calls_retention_days: str = '{"default": 365}'
    """Use case -> days that its predictions and outcomes are kept, as JSON; ``default`` is for the others,
    0 keeps for ever."""
    calls_pseudonymise: str = ""
    """Use cases whose place and free-text fields are pseudonymised before anything is written."""
    calls_pseudonym_key: SecretStr | None = Field(default=None, min_length=32)
    """Key of the pseudonyms. Who has it can tell whether a guess is right; another key makes others."""

    @field_validator("calls_retention_days")
    @classmethod
    def _days_by_use_case(cls, text: str) -> str:
        try:
            days = _DAYS.validate_python(json.loads(text))
        except (ValueError, ValidationError):
            raise ValueError('a JSON object of whole days by use case is expected, such as {"default": 365}') from None
        if any(number < 0 for number in days.values()):
            raise ValueError("days are 0 or more")
        return text

    @model_validator(mode="after")
    def _key_for_pseudonyms(self) -> Self:
        if self.pseudonymised and self.calls_pseudonym_key is None:
            raise ValueError("VIGIE_CALLS_PSEUDONYMISE needs VIGIE_CALLS_PSEUDONYM_KEY, at least 32 random characters")
        return self

    @property
    def pseudonymised(self) -> frozenset[str]:
        return frozenset(name.strip() for name in self.calls_pseudonymise.split(",") if name.strip())

    @property
    def shortest_retention_days(self) -> int:
        """Of all use cases; 0 where nothing is ever removed."""
        return min((days for days in _DAYS.validate_json(self.calls_retention_days).values() if days), default=0)

    def retention_days(self, use_case: str) -> int:
        """Days that calls of ``use_case`` are kept; 0 is for ever."""
        days = _DAYS.validate_json(self.calls_retention_days)
        return days.get(use_case, days.get(DEFAULT, 0))


@lru_cache(maxsize=1)
def prediction_log_settings() -> PredictionLogSettings:
    """The process's settings, read once."""
    return PredictionLogSettings()
