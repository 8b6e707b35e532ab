"""What a job's processes tell the service that started them: one JSON object a line."""

from __future__ import annotations

import json
from typing import Any, Literal, TypedDict

MOST_LINE_BYTES = 512 * 1_024
MOST_RESULT_BYTES = 256 * 1_024
TAIL_CHARACTERS = 16_000
PROGRESS_LINES = 200
PROGRESS_CHARACTERS = 500

Reason = Literal["", "memory", "time", "cancelled", "orphaned"]


class Message(TypedDict, total=False):
    """One of these at a time; ``ended`` is the last."""

    progress: str
    log_tail: str
    result: dict[str, Any]
    error: dict[str, str]
    peak_mb: int
    reason: Reason
    ended: int


def encode(message: Message) -> bytes:
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Message:
    """What ``encode`` wrote; anything else is an empty message."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return Message(**found) if isinstance(found, dict) else {}


class Tail:
    """The last characters of an output."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def add(self, text: str) -> None:
        self.text = (self.text + text)[-TAIL_CHARACTERS:]
