"""What Alertmanager posts (its webhook, version 4), as far as it is used."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

Severity = Literal["page", "ticket", "info"]
_SEVERITIES: dict[str, Severity] = {severity: severity for severity in get_args(Severity)}
Text = Annotated[str, StringConstraints(max_length=2_000)]


class NoticedAlert(BaseModel):
    """One alert of a notice. ``ends_at`` means something only where it is resolved."""

    status: Literal["firing", "resolved"]
    labels: dict[Text, Text] = Field(max_length=60)
    annotations: dict[Text, Text] = Field(default_factory=dict, max_length=60)
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")]

    @property
    def id(self) -> str:
        """The same for every notice of this one time that the alert fires."""
        moment: datetime = self.starts_at
        return hashlib.sha256(f"{self.fingerprint} {moment.timestamp()!r}".encode()).hexdigest()[:32]

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "unnamed")[:120]

    @property
    def severity(self) -> Severity:
        """As the rule says; what says nothing that is known is for the next working day."""
        return _SEVERITIES.get(self.labels.get("severity", ""), "ticket")

    @property
    def use_case(self) -> str:
        return self.labels.get("use_case", "")[:120]

    def summary(self, language: Literal["en", "fr"]) -> str:
        english = self.annotations.get("summary") or self.name
        return english if language == "en" else self.annotations.get("summary_fr") or english


class Notice(BaseModel):
    """Alerts that belong together."""

    version: Literal["4"]
    alerts: list[NoticedAlert] = Field(max_length=1_000)
