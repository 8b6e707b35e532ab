"""The auth snapshot is polled in the background, stored on disk, and the last good one stays in force."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.core.auth.credentials import ApiKey, SigningKey, generate_api_key
from services.core.auth.principal import AuthError, AuthErrorCode, Principal, Role
from services.core.auth.snapshot import ApiKeyEntry, AuthSnapshotDocument, NewCredentials, SnapshotFile
from services.core.auth.snapshot_poller import (
    MAX_POLL_SECONDS,
    REPORT_POLLS,
    REWRITE_SECONDS,
    STALE_SECONDS,
    ApiKeyUsage,
    AuthSnapshotPoller,
)
from services.core.errors import VigieError


class Gateway:
    """A gateway in memory."""

    def __init__(self, signing_key: SigningKey, now: float) -> None:
        self.now = now
        self.keys: list[ApiKey] = []
        self.down = False
        self.reports_lost = 0
        self.reported: list[ApiKeyUsage] = []
        self._jwk = signing_key.public_jwk()

    def access_list(self) -> AuthSnapshotDocument:
        if self.down:
            raise ConnectionError("refused")
        keys = [
            ApiKeyEntry(id=key.id, sha256=key.sha256, name="k", role=Role.DISPATCHER, centre="north")
            for key in self.keys
        ]
        issued = datetime.fromtimestamp(self.now, UTC)
        return AuthSnapshotDocument(issued_at=issued, jwks={"keys": [self._jwk]}, keys=keys)

    def report(self, uses: Sequence[ApiKeyUsage]) -> None:
        if self.reports_lost:
            self.reports_lost -= 1
            raise ConnectionError("refused")
        self.reported += uses

    def clock(self) -> float:
        return self.now


@pytest.fixture
def gateway(signing_key: SigningKey, now: float) -> Gateway:
    made = Gateway(signing_key, now)
    made.keys.append(generate_api_key())
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "access-list.json"


def _follower(gateway: Gateway, path: Path) -> AuthSnapshotPoller:
    return AuthSnapshotPoller(SnapshotFile(path), gateway, seconds=10, clock=gateway.clock)


def test_without_any_list_nobody_gets_in(gateway: Gateway, path: Path) -> None:
    gateway.down = True
    follower = _follower(gateway, path)
    follower.load_from_disk()
    follower.poll()
    assert follower.verify(gateway.keys[0].text) == AuthError(AuthErrorCode.NO_LIST)
    assert follower.verify(None) == AuthError(AuthErrorCode.MISSING)
    assert follower.age() is None
    assert follower.stale


def test_a_key_works_from_the_first_look_until_it_is_taken_off_the_list(gateway: Gateway, path: Path) -> None:
    follower = _follower(gateway, path)
    follower.poll()
    key = gateway.keys.pop()
    assert isinstance(follower.verify(key.text), Principal)
    follower.poll()
    # It may be newer than the list that is in force; the next list tells.
    assert follower.verify(key.text) == AuthError(AuthErrorCode.UNCONFIRMED)
    follower.poll()
    assert follower.verify(key.text) == AuthError(AuthErrorCode.UNKNOWN)


def test_a_key_that_may_be_new_is_never_refused_for_good_before_a_newer_list_is_here(
    gateway: Gateway, path: Path
) -> None:
    follower = _follower(gateway, path)
    follower.poll()
    new = generate_api_key()
    gateway.down = True
    assert follower.verify(new.text) == AuthError(AuthErrorCode.UNCONFIRMED)
    follower.poll()
    assert follower.verify(new.text) == AuthError(AuthErrorCode.UNCONFIRMED)
    gateway.down = False
    gateway.keys.append(new)
    follower.poll()
    assert isinstance(follower.verify(new.text), Principal)


def test_what_strangers_send_asks_the_gateway_a_bounded_number_of_times_and_waits_in_a_bounded_number() -> None:
    new = NewCredentials(seconds=10)
    new.answered(new.asking())
    assert sum(new.may_be_new(f"vig_{number}") for number in range(1_000)) == NewCredentials.MOST_WAITING
    assert sum(new.may_look(1_000.0) for _ in range(1_000)) == NewCredentials.MOST_LOOKS
    # One more for every ten seconds, as many as regular looks.
    assert sum(new.may_look(1_000.0 + 5 * turn) for turn in range(1, 21)) == 10


def test_the_last_good_list_stays_in_force_and_says_its_age(gateway: Gateway, path: Path) -> None:
    follower = _follower(gateway, path)
    follower.poll()
    assert not follower.stale
    gateway.down = True
    gateway.now += 86_400
    follower.poll()
    assert isinstance(follower.verify(gateway.keys[0].text), Principal)
    assert follower.age() == 86_400
    assert follower.stale
    gateway.down = False
    follower.poll()
    assert follower.age() == 0


def test_after_a_restart_the_list_on_disk_is_in_force(gateway: Gateway, path: Path) -> None:
    _follower(gateway, path).poll()
    gateway.down = True
    restarted = _follower(gateway, path)
    restarted.load_from_disk()
    assert isinstance(restarted.verify(gateway.keys[0].text), Principal)
    gateway.now += STALE_SECONDS + 1
    assert restarted.stale


def test_the_age_on_disk_is_right_to_a_minute_although_nothing_changed(gateway: Gateway, path: Path) -> None:
    follower = _follower(gateway, path)
    for _ in range(30):
        follower.poll()
        gateway.now += 10
    restarted = _follower(gateway, path)
    restarted.load_from_disk()
    age = restarted.age()
    assert age is not None
    assert age <= REWRITE_SECONDS + 10


def test_only_the_services_own_user_can_read_the_list_on_disk(gateway: Gateway, path: Path) -> None:
    _follower(gateway, path).poll()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_list_that_others_may_write_is_not_used(gateway: Gateway, path: Path, mode: int) -> None:
    _follower(gateway, path).poll()
    path.chmod(mode)
    with pytest.raises(VigieError, match="others than this service may write it"):
        SnapshotFile(path).load()
    restarted = _follower(gateway, path)
    restarted.load_from_disk()
    assert restarted.verify(gateway.keys[0].text) == AuthError(AuthErrorCode.NO_LIST)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"issued_at": "now"}'])
def test_a_damaged_list_on_disk_is_not_used(gateway: Gateway, path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    restarted = _follower(gateway, path)
    restarted.load_from_disk()
    assert restarted.verify(gateway.keys[0].text) == AuthError(AuthErrorCode.NO_LIST)
    restarted.poll()
    assert isinstance(restarted.verify(gateway.keys[0].text), Principal)


def test_a_disk_that_cannot_be_written_stops_nobody(gateway: Gateway, path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    follower = _follower(gateway, path)
    follower.poll()
    assert isinstance(follower.verify(gateway.keys[0].text), Principal)


def test_a_failed_write_leaves_the_old_list_and_nothing_beside_it(
    gateway: Gateway, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = _follower(gateway, path)
    follower.poll()
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    gateway.keys.append(generate_api_key())
    follower.poll()
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_uses_of_keys_are_told_and_a_lost_report_is_told_again(gateway: Gateway, path: Path) -> None:
    follower = _follower(gateway, path)
    follower.poll()
    gateway.reports_lost = 1
    for _ in range(3):
        follower.verify(gateway.keys[0].text)
    gateway.now += REPORT_POLLS * MAX_POLL_SECONDS
    follower.poll()
    gateway.now += REPORT_POLLS * MAX_POLL_SECONDS
    follower.verify(gateway.keys[0].text)
    follower.verify(generate_api_key().text)
    follower.poll()
    follower.verify(gateway.keys[0].text)
    follower.poll()
    assert [(use.id, use.uses, use.last_used_at.timestamp()) for use in gateway.reported] == [
        (gateway.keys[0].id, 4, gateway.now)
    ]


def test_a_key_younger_than_the_list_makes_the_follower_look_again(gateway: Gateway, path: Path) -> None:
    follower = _follower(gateway, path)
    follower.poll()
    assert not follower._thread.woken
    follower.verify(generate_api_key().text)
    assert follower._thread.woken


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document["jwks"]["keys"][0].update(x="AAAA"),
        lambda document: document["jwks"]["keys"][0].update(x=17),
        lambda document: document["jwks"]["keys"].append({"kty": "EC", "crv": "P-256", "kid": "other"}),
        lambda document: document.update(keys=None),
    ],
)
def test_an_unusable_list_on_disk_is_as_none(
    gateway: Gateway, path: Path, damage: Callable[[dict[str, Any]], object]
) -> None:
    _follower(gateway, path).poll()
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    gateway.down, follower = True, _follower(gateway, path)
    follower.load_from_disk()
    assert follower.stale
    gateway.down = False
    follower.poll()
    assert isinstance(follower.verify(gateway.keys[0].text), Principal)


def test_a_folder_in_the_place_of_the_list_is_as_none(gateway: Gateway, path: Path) -> None:
    path.mkdir(parents=True)
    follower = _follower(gateway, path)
    follower.load_from_disk()
    assert follower.age() is None


def test_a_list_of_the_future_grows_stale_like_any_other(gateway: Gateway, path: Path) -> None:
    gateway.now += 86_400
    _follower(gateway, path).poll()
    gateway.now -= 86_400
    gateway.down, follower = True, _follower(gateway, path)
    follower.load_from_disk()
    assert not follower.stale
    gateway.now += STALE_SECONDS + 1
    assert follower.stale
