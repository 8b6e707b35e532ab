"""People, keys and a moment, for everything about access."""

from __future__ import annotations

import pytest

from services.core.auth.credentials import SigningKey
from services.core.auth.principal import Principal, Role

NOW = 1_800_000_000.0


@pytest.fixture
def now() -> float:
    """Unix seconds."""
    return NOW


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    return SigningKey.new(0.0)


@pytest.fixture
def dispatcher() -> Principal:
    return Principal("user", "u-1", "Ada", Role.DISPATCHER, "north", frozenset({"south"}), frozenset({"toy"}))
