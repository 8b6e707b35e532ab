"""The access list verifies tokens and keys without asking anybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from services.core.auth.credentials import (
    LEEWAY_SECONDS,
    LIFETIME_SECONDS,
    ApiKey,
    SigningKey,
    SigningKeyRing,
    generate_api_key,
    issue_token,
)
from services.core.auth.principal import AuthError, AuthErrorCode, Principal, Role
from services.core.auth.snapshot import ApiKeyEntry, AuthSnapshot, AuthSnapshotDocument, Revocation


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _entry(key: ApiKey, **changes: Any) -> ApiKeyEntry:
    entry = ApiKeyEntry(id=key.id, sha256=key.sha256, name="console 3", role=Role.DISPATCHER, centre="north")
    return entry.model_copy(update=changes)


def _document(signing_key: SigningKey, now: float, **parts: Any) -> AuthSnapshotDocument:
    made = {"issued_at": _at(now), "jwks": SigningKeyRing.of(signing_key).jwks(now), "keys": [], **parts}
    return AuthSnapshotDocument.model_validate(made)


@pytest.fixture
def key() -> ApiKey:
    return generate_api_key()


def test_a_key_on_the_list_is_its_centres(signing_key: SigningKey, key: ApiKey, now: float) -> None:
    entry = _entry(key, use_cases=frozenset({"toy"}), centres="*")
    listed = AuthSnapshot(_document(signing_key, now, keys=[entry]))
    expected = Principal("key", key.id, "console 3", Role.DISPATCHER, "north", None, frozenset({"toy"}))
    assert listed.verify(key.text, now) == expected


def test_a_key_that_is_not_on_the_list_is_refused(signing_key: SigningKey, key: ApiKey, now: float) -> None:
    listed = AuthSnapshot(_document(signing_key, now, keys=[_entry(key)]))
    assert listed.verify(generate_api_key().text, now) == AuthError(AuthErrorCode.UNKNOWN)
    other_secret = key.text[:-1] + ("A" if key.text[-1] != "A" else "B")
    assert listed.verify(other_secret, now) == AuthError(AuthErrorCode.UNKNOWN)


@pytest.mark.parametrize("text", ["vig_", "vig_x", "vig_abcdefghijkl_short", "", "anything"])
def test_what_is_neither_key_nor_token_is_refused(signing_key: SigningKey, now: float, text: str) -> None:
    assert AuthSnapshot(_document(signing_key, now)).verify(text, now) == AuthError(AuthErrorCode.MALFORMED)


def test_the_stored_hash_opens_nothing(signing_key: SigningKey, key: ApiKey, now: float) -> None:
    listed = AuthSnapshot(_document(signing_key, now, keys=[_entry(key)]))
    assert isinstance(listed.verify(key.sha256, now), AuthError)


def test_a_key_ends_at_its_time_also_while_it_is_remembered(signing_key: SigningKey, key: ApiKey, now: float) -> None:
    listed = AuthSnapshot(_document(signing_key, now, keys=[_entry(key, expires_at=_at(now + 5))]))
    assert isinstance(listed.verify(key.text, now), Principal)
    assert isinstance(listed.verify(key.text, now + 4.9), Principal)
    assert listed.verify(key.text, now + 5) == AuthError(AuthErrorCode.EXPIRED)


def test_a_token_ends_at_its_time_also_while_it_is_remembered(
    signing_key: SigningKey, dispatcher: Principal, now: float
) -> None:
    listed = AuthSnapshot(_document(signing_key, now))
    token, _ = issue_token(dispatcher, signing_key, jti="t-1", now=now)
    end = now + LIFETIME_SECONDS + LEEWAY_SECONDS
    assert listed.verify(token, now) == dispatcher
    assert listed.verify(token, end - 1) == dispatcher
    assert listed.verify(token, end) == AuthError(AuthErrorCode.EXPIRED)


def test_a_revoked_token_is_refused_and_the_others_of_its_owner_are_not(
    signing_key: SigningKey, dispatcher: Principal, now: float
) -> None:
    listed = AuthSnapshot(_document(signing_key, now, revoked=[Revocation(jti="t-1", until=_at(now + 900))]))
    revoked, _ = issue_token(dispatcher, signing_key, jti="t-1", now=now)
    other, _ = issue_token(dispatcher, signing_key, jti="t-2", now=now)
    assert listed.verify(revoked, now) == AuthError(AuthErrorCode.REVOKED)
    assert listed.verify(other, now) == dispatcher


def test_all_tokens_of_a_sign_in_are_revoked_and_another_sign_in_goes_on(
    signing_key: SigningKey, dispatcher: Principal, now: float
) -> None:
    listed = AuthSnapshot(_document(signing_key, now, revoked=[Revocation(jti="s-1", sid="s-1")]))
    tabs = [issue_token(dispatcher, signing_key, jti=jti, now=now, sid="s-1")[0] for jti in ("t-1", "t-2")]
    assert [listed.verify(token, now) for token in tabs] == [AuthError(AuthErrorCode.REVOKED)] * 2
    for sid in ("s-2", None):
        other, _ = issue_token(dispatcher, signing_key, jti="t-3", now=now, sid=sid)
        assert listed.verify(other, now) == dispatcher


def test_all_tokens_of_somebody_can_be_revoked(signing_key: SigningKey, dispatcher: Principal, now: float) -> None:
    listed = AuthSnapshot(_document(signing_key, now, revoked=[Revocation(sub="u-1", until=_at(now + 900))]))
    theirs, _ = issue_token(dispatcher, signing_key, jti="t-1", now=now)
    others, _ = issue_token(replace(dispatcher, id="u-2"), signing_key, jti="t-2", now=now)
    assert listed.verify(theirs, now) == AuthError(AuthErrorCode.REVOKED)
    assert isinstance(listed.verify(others, now), Principal)


def test_who_signs_in_again_after_being_signed_out_gets_in(
    signing_key: SigningKey, dispatcher: Principal, now: float
) -> None:
    revocations = [Revocation(sub="u-1", before=_at(now)), Revocation(sub="u-1", before=_at(now - 100))]
    listed = AuthSnapshot(_document(signing_key, now, revoked=revocations))
    before, _ = issue_token(dispatcher, signing_key, jti="t-1", now=now)
    after, _ = issue_token(dispatcher, signing_key, jti="t-2", now=now + 0.5)
    assert listed.verify(before, now + 1) == AuthError(AuthErrorCode.REVOKED)
    assert listed.verify(after, now + 1) == dispatcher


def test_a_token_that_was_issued_for_a_key_ends_with_the_key(signing_key: SigningKey, key: ApiKey, now: float) -> None:
    token, _ = issue_token(_entry(key).caller(), signing_key, jti="t-1", now=now)
    assert isinstance(AuthSnapshot(_document(signing_key, now, keys=[_entry(key)])).verify(token, now), Principal)
    assert AuthSnapshot(_document(signing_key, now)).verify(token, now) == AuthError(AuthErrorCode.REVOKED)


def test_no_more_is_remembered_than_said(signing_key: SigningKey, now: float) -> None:
    keys = [generate_api_key() for _ in range(20)]
    listed = AuthSnapshot(_document(signing_key, now, keys=[_entry(key) for key in keys]), remembered=5)
    for key in keys * 2:
        assert isinstance(listed.verify(key.text, now), Principal)
        assert len(listed._remembered) <= 5


def test_what_is_refused_is_not_remembered(signing_key: SigningKey, now: float) -> None:
    listed = AuthSnapshot(_document(signing_key, now))
    for _ in range(10):
        listed.verify(generate_api_key().text, now)
    assert listed._remembered == {}


def test_the_list_survives_being_kept_as_text(
    signing_key: SigningKey, key: ApiKey, dispatcher: Principal, now: float
) -> None:
    document = _document(
        signing_key, now, keys=[_entry(key, use_cases=frozenset())], revoked=[Revocation(jti="t", until=_at(now))]
    )
    again = AuthSnapshotDocument.model_validate_json(document.model_dump_json())
    assert again == document
    assert again.has_same_content(document)
    caller = AuthSnapshot(again).verify(key.text, now)
    assert isinstance(caller, Principal)
    assert not caller.can_call("toy")


def test_a_revocation_without_a_name_is_refused() -> None:
    with pytest.raises(ValidationError, match="names a jti, a sid or a sub"):
        Revocation()


def test_a_remembered_token_is_not_verified_again(
    signing_key: SigningKey, dispatcher: Principal, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = AuthSnapshot(_document(signing_key, now))
    token, _ = issue_token(dispatcher, signing_key, jti="t-1", now=now)
    assert listed.verify(token, now) == dispatcher
    monkeypatch.setattr("services.core.auth.credentials.jwt.decode", lambda *_, **__: pytest.fail("verified again"))
    assert listed.verify(token, now + 1) == dispatcher
