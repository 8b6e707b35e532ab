"""API keys: their shape, and that nothing but a hash of them is stored."""

from __future__ import annotations

import pytest

from services.core.auth.credentials import generate_api_key, hash_api_key, parse_key_id


def test_a_new_key_has_its_id_and_256_random_bits() -> None:
    key = generate_api_key()
    assert parse_key_id(key.text) == key.id
    assert len(key.text) == len("vig_") + 12 + 1 + 43
    assert len({generate_api_key().text for _ in range(100)}) == 100


def test_what_is_kept_does_not_hold_the_secret() -> None:
    key = generate_api_key()
    assert key.sha256 == hash_api_key(key.text)
    assert len(key.sha256) == 64
    assert key.text[17:] not in repr(key)


@pytest.mark.parametrize(
    "text", ["", "vig_", "vig_ABCDEFGHIJKL_" + "a" * 43, "vig_abcdefghijkl_" + "a" * 42, "vig_abcdefghijkl_" + "é" * 43]
)
def test_what_has_not_the_shape_of_a_key_has_no_id(text: str) -> None:
    assert parse_key_id(text) is None
    assert parse_key_id("vig_abcdefghijkl_" + "a" * 43 + "\n") is None
