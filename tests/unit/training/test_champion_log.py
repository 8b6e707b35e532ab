"""Whoever asks for it: a change of champion is kept for the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.core.access.audit import AuditEntry
from services.core.access.audit_outbox import folder_of
from services.core.home import Home
from services.core.jobs.child import Task
from services.core.jobs.options import NoOptions, PromoteOptions
from services.core.registry.client import Registry
from services.core.registry.version import Version
from services.training import jobs, promotion


def _version(number: int) -> Version:
    return Version("toy", number, "hash", "", False, "run", "source")


class _Registry:
    """Version 2 is champion, 1 was before."""

    def by_alias(self, _: str, alias: str) -> Version:
        return _version(2 if alias == "champion" else 1)

    def promote(self, _: str, number: int, **__: Any) -> Version:
        return _version(number)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(Registry, "open", lambda _: _Registry())
    monkeypatch.setattr(jobs, "refuse_while_frozen", lambda _: None)
    monkeypatch.setattr(promotion, "rollback", lambda *_, **__: _version(1))
    return Home(tmp_path)


def _task(home: Home, options: Any) -> Task:
    return Task("j" * 32, "toy", "promote", options, "ada", home, lambda _: None)


def _kept(home: Home) -> list[AuditEntry]:
    files = sorted(folder_of(home, "training").glob("*.json"))
    return [AuditEntry.model_validate_json(path.read_bytes()) for path in files]


def test_a_promotion_is_kept_with_who_asked_and_what_served_before(home: Home) -> None:
    jobs.promote(_task(home, PromoteOptions(version=3)))
    (entry,) = _kept(home)
    assert (entry.action, entry.actor_name, entry.use_case, entry.target) == (
        "champion.changed",
        "ada",
        "toy",
        "version 3",
    )
    assert entry.details == {"before": 2, "how": "by hand", "job": "j" * 32}


def test_a_rollback_is_kept(home: Home) -> None:
    jobs.rollback(_task(home, NoOptions()))
    assert [(entry.target, entry.details["how"]) for entry in _kept(home)] == [("version 1", "rollback")]


def test_what_changes_nothing_is_not_kept(home: Home) -> None:
    jobs.promote(_task(home, PromoteOptions(version=2)))
    assert _kept(home) == []
