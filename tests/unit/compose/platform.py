"""What docker-compose.yml says, for tests that ask it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

ONE_SHOT = {"migrate", "airflow-init"}


@dataclass(frozen=True)
class Platform:
    text: str
    content: dict[str, Any]

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.content["services"]
        return found

    @property
    def lasting(self) -> dict[str, dict[str, Any]]:
        return {name: service for name, service in self.services.items() if name not in ONE_SHOT}

    def required(self) -> set[str]:
        """Variables without which Compose refuses to start."""
        return set(re.findall(r"\$\{(\w+):\?", self.text))

    def variables(self) -> set[str]:
        """Every variable that is put in or passed on."""
        passed = {
            name
            for service in self.services.values()
            for name, value in (service.get("environment") or {}).items()
            if value is None
        }
        return passed | set(re.findall(r"\$\{(\w+)", self.text))

    def knows(self, variable: str) -> set[str]:
        """Services that see the value of ``variable``."""
        return {name for name, service in self.services.items() if f"${{{variable}" in str(service)}
