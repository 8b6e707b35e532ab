"""API keys of dispatch centres: ``vig_<id>_<secret>``.

Only the SHA-256 of the whole text is stored: the secret has 256 random bits, so a slow hash would add nothing."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass

API_KEY_PREFIX = "vig_"
_ALPHABET = string.ascii_lowercase + string.digits
_API_KEY_PATTERN = re.compile(r"vig_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A new key with its plain text, shown to its owner once."""

    id: str
    text: str

    def __repr__(self) -> str:
        return f"ApiKey(id={self.id!r})"

    @property
    def sha256(self) -> str:
        return hash_api_key(self.text)


def generate_api_key() -> ApiKey:
    """Generate an API key."""
    name = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return ApiKey(name, f"{API_KEY_PREFIX}{name}_{secrets.token_urlsafe(32)}")


def parse_key_id(text: str) -> str | None:
    """Return the id part of a key; None if the text is not shaped like a key."""
    found = _API_KEY_PATTERN.fullmatch(text)
    return found.group(1) if found else None


def hash_api_key(text: str) -> str:
    """Return the stored form of a key: SHA-256 of its whole text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
