"""The training service's jobs on a real registry: an earlier decision of the gate counts, a freeze holds, and nothing
is promoted that was not judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.errors import ConflictError, UnavailableError
from services.core.jobs.job_process import JobContext
from services.core.jobs.options import OPTIONS
from services.core.model_registry import promotion_freeze
from services.core.model_registry.client import ModelRegistry
from services.core.params import Gate
from services.core.paths import VigiePaths
from services.core.settings import settings
from services.training import promotion
from services.training import service as training_service

GATE = Gate(bootstrap=400, minimum_rows=100, max_latency_ratio=100)
Publish = Callable[[Path], None]
Do = Callable[..., Mapping[str, Any]]


@pytest.fixture
def database(home: VigiePaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("VIGIE_HOME", str(home.root))
    settings.cache_clear()
    engine = make_engine(f"sqlite:///{home.database}")
    upgrade(engine)
    yield engine
    engine.dispose()
    settings.cache_clear()


@pytest.fixture
def judgements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that the gate compared."""
    made: list[str] = []
    real = promotion.gate_and_register

    def judge(home: VigiePaths, use_case: str, **more: Any) -> Any:
        made.append(use_case)
        return real(home, use_case, **more | {"gate": GATE})

    monkeypatch.setattr(promotion, "gate_and_register", judge)
    return made


@pytest.fixture
def do(home: VigiePaths, database: Engine, judgements: list[str]) -> Do:
    def do(step: str, **options: Any) -> Mapping[str, Any]:
        chosen = OPTIONS[step].model_validate(options)
        return training_service.JOBS[step](JobContext("id", "toy", step, chosen, "jeanne", home, print))

    return do


def test_from_a_candidate_to_the_champion_and_back(
    do: Do, trained: dict[str, Path], publish: Publish, registry: ModelRegistry, judgements: list[str]
) -> None:
    publish(trained["good"])
    with pytest.raises(ConflictError, match="not registered"):
        do("promote")
    gated = do("gate")
    assert (gated["version"], gated["decision"], gated["promote"]) == (1, "promote", True)
    assert gated["reasons"]
    assert gated["run_id"]
    assert gated["metrics"]["seconds"]["mae"] > 0

    # Asked again, it is not judged again, unless somebody wants that.
    assert do("gate")["decision"] == "promote"
    assert len(judgements) == 1
    assert do("gate", force=True)["decision"] == "promote"
    assert len(judgements) == 2

    promoted = do("promote", approved=1)
    assert (promoted["version"], promoted["promoted"], promoted["champion"]) == (1, True, True)
    assert do("gate")["decision"] == "unchanged"
    again = do("promote")
    assert (again["promoted"], again["champion"], again["reasons"]) == (False, True, ["It is the champion already."])

    publish(trained["better"])
    assert do("gate")["compared_with"] == "version 1"
    assert do("promote")["previous"] == 1
    back = do("rollback")
    assert (back["version"], back["rolled_back"]) == (1, 2)

    # What was rolled back passed the gate once, against this very champion: it does not come back by itself.
    refused = do("promote")
    assert (refused["promoted"], refused["version"]) == (False, 2)
    assert "rolled back" in refused["reasons"][0]
    assert do("gate")["decision"] == "refuse"
    assert do("promote", version=2)["by_hand"] is True
    assert registry.by_alias("toy", "champion").number == 2  # type: ignore[union-attr]


def test_what_the_gate_refused_or_compared_with_another_champion_stays(
    do: Do, trained: dict[str, Path], publish: Publish, registry: ModelRegistry
) -> None:
    publish(trained["better"])
    do("gate")
    do("promote")
    publish(trained["worse"])
    assert do("gate")["decision"] == "refuse"
    refused = do("promote")
    assert (refused["promoted"], refused["champion"]) == (False, False)
    assert registry.by_alias("toy", "champion").number == 1  # type: ignore[union-attr]

    other = registry.log_run_and_register("toy", trained["good"])
    registry.set_tags(other, {"gate": "passed", "compared_with": "version 7"})
    stale = do("promote", approved=other.number)
    assert stale["promoted"] is False
    assert "the champion is version 1 now" in stale["reasons"][0]


def test_while_promotions_are_frozen_nothing_is_promoted_and_a_rollback_works(
    do: Do, trained: dict[str, Path], publish: Publish, database: Engine
) -> None:
    for name in ("good", "better"):
        publish(trained[name])
        do("gate")
        do("promote")
    with database.begin() as connection:
        promotion_freeze.freeze_promotions(connection, reason="major incident", by="jeanne")
    for options in ({}, {"version": 1}, {"approved": 1}):
        with pytest.raises(ConflictError, match=r"frozen since .* by jeanne: major incident"):
            do("promote", **options)
    assert do("rollback")["version"] == 1


def test_where_nobody_can_say_whether_promotions_are_frozen_nothing_is_promoted(
    do: Do, home: VigiePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIE_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/vigie")
    settings.cache_clear()
    with pytest.raises(UnavailableError, match="nothing is promoted"):
        do("promote", version=1)
