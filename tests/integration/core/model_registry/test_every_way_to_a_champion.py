"""Whichever way a champion is changed, by the command line or by a job: the freeze holds, the audit log has an entry,
and the printed fallback pages are those of the champion."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.commands import pipeline
from services.cli.commands.access import os_user
from services.core import params
from services.core.audit.entries import AuditEntry, outbox_folder
from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.errors import ConflictError, UnavailableError
from services.core.jobs.job_process import JobContext
from services.core.jobs.options import OPTIONS
from services.core.model_registry import promotion_freeze
from services.core.model_registry.client import ModelRegistry
from services.core.params import Gate
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT, settings
from services.training import service as training_service

GATE = Gate(bootstrap=400, minimum_rows=100, max_latency_ratio=100)


@dataclass(frozen=True, slots=True)
class Platform:
    """Version 1 is champion, version 2 the published candidate."""

    home: VigiePaths
    registry: ModelRegistry

    def command(self, *arguments: str) -> None:
        result = CliRunner().invoke(app, list(arguments), prog_name="./vigie")
        if result.exception is not None:
            raise result.exception

    def job(self, step: str, **options: Any) -> Mapping[str, Any]:
        chosen = OPTIONS[step].model_validate(options)
        return training_service.JOBS[step](JobContext("j" * 32, "toy", step, chosen, "jeanne", self.home, print))

    def freeze(self) -> None:
        engine = make_engine(f"sqlite:///{self.home.database}")
        upgrade(engine)
        with engine.begin() as connection:
            promotion_freeze.freeze_promotions(connection, reason="major incident", by="jeanne")
        engine.dispose()

    @property
    def champion(self) -> int:
        found = self.registry.by_alias("toy", "champion")
        assert found is not None
        return found.number

    @property
    def entries(self) -> list[AuditEntry]:
        files = sorted(outbox_folder(self.home, "training").glob("*.json"))
        return [AuditEntry.model_validate_json(path.read_bytes()) for path in files]

    @property
    def printed(self) -> set[int]:
        """The versions that the fallback pages say they are of."""
        pages = {language: self.home.baseline / f"toy.{language}.html" for language in ("en", "fr")}
        texts = {language: path.read_text() for language, path in pages.items() if path.is_file()}
        said = {"en": "model version {}<", "fr": "version {} du modèle"}
        return {n for n in (1, 2) for language, text in texts.items() if said[language].format(n) in text}


@pytest.fixture
def platform(
    home: VigiePaths,
    registry: ModelRegistry,
    trained: dict[str, Path],
    publish: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Platform]:
    monkeypatch.setenv("VIGIE_HOME", str(home.root))
    chosen = params.load_params(CHECKOUT).model_copy(update={"gate": GATE})
    monkeypatch.setattr(params, "load_params", lambda *_: chosen)
    monkeypatch.setattr(pipeline, "run_stage", lambda *_, **__: None)  # what is published counts as its result
    settings.cache_clear()
    registry.promote("toy", registry.log_run_and_register("toy", trained["good"]).number)
    registry.log_run_and_register("toy", trained["better"])
    publish(trained["better"])
    yield Platform(home, registry)
    settings.cache_clear()


def _gate_and_promote_by_jobs(platform: Platform) -> None:
    platform.job("gate")
    platform.job("promote")


def _approve(platform: Platform) -> None:
    platform.job("gate")
    platform.job("promote", approved=2)


PROMOTIONS: dict[str, tuple[Callable[[Platform], Any], str]] = {
    "command line, by number": (lambda platform: platform.command("promote", "toy", "2"), "by hand"),
    "command line, through the gate": (lambda platform: platform.command("promote", "toy"), "gate"),
    "command line, the chain's last step": (lambda platform: platform.command("run", "toy"), "gate"),
    "job, by number": (lambda platform: platform.job("promote", version=2), "by hand"),
    "job, through the gate": (_gate_and_promote_by_jobs, "gate"),
    "job, approved by a person": (_approve, "gate"),
}
ROLLBACKS: dict[str, Callable[[Platform], Any]] = {
    "command line": lambda platform: platform.command("rollback", "toy"),
    "job": lambda platform: platform.job("rollback"),
}


def _actor(way: str) -> tuple[str, str, str]:
    if way.startswith("command line"):
        return "service", "command-line", f"{os_user()} (./vigie)"
    return "user", "", "jeanne"


@pytest.mark.parametrize("way", PROMOTIONS)
def test_while_promotions_are_frozen_no_way_leads_to_another_champion(way: str, platform: Platform) -> None:
    platform.freeze()
    with pytest.raises(ConflictError, match=r"frozen since .* by jeanne: major incident"):
        PROMOTIONS[way][0](platform)
    assert platform.champion == 1
    assert platform.entries == []
    assert platform.printed == set()


@pytest.mark.parametrize("way", PROMOTIONS)
def test_every_promotion_is_in_the_audit_log_and_on_the_printed_pages(way: str, platform: Platform) -> None:
    promote, how = PROMOTIONS[way]
    promote(platform)
    assert platform.champion == 2
    (entry,) = platform.entries
    assert (entry.action, entry.use_case, entry.target) == ("champion.changed", "toy", "version 2")
    assert (entry.actor_kind, entry.actor_id, entry.actor_name) == _actor(way)
    assert (entry.details["before"], entry.details["how"]) == (1, how)
    assert platform.printed == {2}


@pytest.mark.parametrize("frozen", [False, True], ids=["", "frozen"])
@pytest.mark.parametrize("way", ROLLBACKS)
def test_every_rollback_is_in_the_audit_log_and_on_the_printed_pages_also_during_a_freeze(
    way: str, frozen: bool, platform: Platform
) -> None:
    platform.registry.promote("toy", 2)
    if frozen:
        platform.freeze()
    ROLLBACKS[way](platform)
    assert platform.champion == 1
    (entry,) = platform.entries
    assert (entry.action, entry.target, entry.details["how"]) == ("champion.changed", "version 1", "rollback")
    assert (entry.actor_kind, entry.actor_id, entry.actor_name) == _actor(way)
    assert platform.printed == {1}


@pytest.mark.parametrize("way", PROMOTIONS)
def test_where_nobody_can_say_whether_promotions_are_frozen_nothing_is_promoted(
    way: str, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIE_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/vigie")
    settings.cache_clear()
    with pytest.raises(UnavailableError, match="nothing is promoted"):
        PROMOTIONS[way][0](platform)
    assert platform.champion == 1


def test_a_home_without_a_database_has_no_freeze_and_gets_none_by_asking(platform: Platform) -> None:
    platform.command("promote", "toy", "2")
    assert platform.champion == 2
    assert not platform.home.database.exists()


def test_a_database_that_was_not_brought_up_to_date_is_no_permission(platform: Platform) -> None:
    platform.home.database.parent.mkdir()
    create_engine(f"sqlite:///{platform.home.database}").connect().close()
    platform.home.database.touch()
    with pytest.raises(UnavailableError) as raised:
        platform.command("promote", "toy", "2")
    assert "services.core.database.migrate" in raised.value.action
    assert platform.champion == 1


def test_a_home_of_its_own_such_as_the_demos_is_not_held_by_the_platforms_freeze(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it write into the platform's audit log: its registry and its database are its own."""
    monkeypatch.setenv("VIGIE_HOME", str(tmp_path / "platform"))
    settings.cache_clear()
    Platform(settings().home, platform.registry).freeze()
    result = pipeline.gate_and_promote(platform.home, "toy")
    assert result["promoted"] is True
    assert [entry.target for entry in platform.entries] == ["version 2"]
    assert not outbox_folder(settings().home, "training").exists()


def test_nothing_else_moves_a_champion() -> None:
    """Only ``services.training.promotion`` asks the registry for it."""
    callers = {
        path.relative_to(CHECKOUT).as_posix()
        for folder in ("services", "airflow")
        for path in (CHECKOUT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"promote", "rollback"}
        and "registry" in ast.unparse(node.func.value).lower()
    }
    assert callers == {"services/training/promotion.py"}


def test_what_changes_nothing_is_not_in_the_audit_log(platform: Platform) -> None:
    platform.job("promote", version=1)
    assert platform.entries == []
