"""The audit log's entry: who did what to which model, when, from where, and how it ended."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.core.access.caller import Caller

Outcome = Literal["ok", "refused", "failed"]
GENESIS = "0" * 64
"""``previous_hash`` of the first entry."""
_MOST_DETAILS = 8_000


def _printable(text: str) -> str:
    """Without control characters: databases refuse some, and terminals obey others."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _small(details: dict[str, Detail]) -> dict[str, Detail]:
    if len(canonical(details)) > _MOST_DETAILS:
        raise ValueError(f"details are longer than {_MOST_DETAILS} characters")
    return details


Short = Annotated[str, StringConstraints(max_length=40), AfterValidator(_printable)]
Name = Annotated[str, StringConstraints(max_length=120), AfterValidator(_printable)]
Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]
Detail = str | int | bool | None | list[str]


class AuditEntry(BaseModel):
    """What happened. Holds no secret, and of people nothing but the user name.

    ``id`` makes delivery repeatable: an entry is stored once however often it is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")] = Field(
        default_factory=lambda: uuid.uuid4().hex
    )
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    service: Short
    actor_kind: Short = ""
    actor_id: Name = ""
    actor_name: Name = ""
    centre: Name = ""
    action: Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[a-z_]+)+$", max_length=80)]
    """Such as ``login.failed`` or ``model.promoted``: the thing, a dot, what happened to it."""
    use_case: Name = ""
    target: Text = ""
    """A user, a key, a model version, a run."""
    address: Annotated[str, StringConstraints(max_length=80), AfterValidator(_printable)] = ""
    request_id: Annotated[str, StringConstraints(max_length=80), AfterValidator(_printable)] = ""
    outcome: Outcome = "ok"
    details: Annotated[dict[str, Detail], AfterValidator(_small)] = Field(default_factory=dict)

    def by(self, caller: Caller) -> AuditEntry:
        """The same entry with its actor."""
        return self.model_copy(
            update={
                "actor_kind": caller.kind,
                "actor_id": caller.id,
                "actor_name": caller.name,
                "centre": caller.centre,
            }
        )


def canonical(value: object) -> str:
    """JSON that is written in one way alone: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def columns(entry: AuditEntry) -> dict[str, object]:
    """The entry as it is stored."""
    values = entry.model_dump()
    return values | {"time": entry.time.astimezone(UTC), "details": canonical(entry.details)}


def chained_hash(stored: dict[str, object]) -> str:
    """SHA-256 over every column of an entry but ``hash`` itself: ``sequence`` and ``previous_hash`` too."""
    time = stored["time"]
    assert isinstance(time, datetime)
    content = {name: value for name, value in stored.items() if name != "hash"}
    content["time"] = time.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(canonical(content).encode()).hexdigest()
