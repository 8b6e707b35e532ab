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
    """Settings of the prediction log: retention and pseudonymisation."""

    calls_retention_days: str = '{"default": 365}'
    """JSON object, use case -> retention of its predictions and outcomes in days; ``default`` applies to the others,
    0 is unlimited."""
    calls_pseudonymise: str = ""
    """Use cases whose location and free-text fields are pseudonymised before they are written."""
    calls_pseudonym_key: SecretStr | None = Field(default=None, min_length=32)
    """Key of the pseudonyms. It allows testing guesses; another key gives other pseudonyms."""

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
        """Shortest retention of all use cases, days; 0 if nothing is ever deleted."""
        return min((days for days in _DAYS.validate_json(self.calls_retention_days).values() if days), default=0)

    def retention_days(self, use_case: str) -> int:
        """Retention of ``use_case``, days; 0 is unlimited."""
        days = _DAYS.validate_json(self.calls_retention_days)
        return days.get(use_case, days.get(DEFAULT, 0))


@lru_cache(maxsize=1)
def prediction_log_settings() -> PredictionLogSettings:
    """The settings of this process, read once."""
    return PredictionLogSettings()
