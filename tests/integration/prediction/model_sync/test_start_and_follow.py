"""Starting without a registry, and following the real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.toy.folder_registry import FolderRegistry


def test_a_registry_that_hangs_holds_up_neither_start_nor_answers(serve: Callable[..., Any]) -> None:
    let_go = threading.Event()

    def hanging() -> FolderRegistry:
        let_go.wait(30)
        return FolderRegistry()

    began = time.monotonic()
    try:
        served = serve(hanging)
        assert served.predict()["source"] == "baseline"
        assert httpx.get(f"{served.url}/health/ready").json()["degraded"] is True
        assert time.monotonic() - began < 10
    finally:
        let_go.set()


def test_the_last_good_bundle_answers_from_the_first_request_on(
    serve: Callable[..., Any], toy_bundles: list[Path]
) -> None:
    registry = FolderRegistry()
    registry.promote("toy", 1, toy_bundles[0])
    before = serve(lambda: registry).wait_for(lambda body: body["source"] == "champion")
    silent = FolderRegistry()
    silent.down = True
    first = serve(lambda: silent).predict()
    assert (first["source"], first["model_version"]) == ("cached", "1")
    assert first["answer"] == before["answer"]


def test_one_broken_use_case_does_not_stop_another(tmp_path: Path, toy_bundles: list[Path]) -> None:
    """Each use case has a thread of its own: one that hangs in the registry leaves the other alone."""
    from dataclasses import replace

    from services.prediction.app import create_app
    from services.prediction.settings import PredictionSettings
    from tests.toy.declaration import USE_CASE

    let_go = threading.Event()

    class Half(FolderRegistry):
        def by_alias(self, use_case: str, alias: str) -> Any:
            if use_case == "slow":
                let_go.wait(30)
            return super().by_alias(use_case, alias)

    registry = Half()
    registry.promote("toy", 1, toy_bundles[0])
    given = {"VIGIE_HOME": tmp_path, "alias_poll_seconds": 0.05, "prediction_access": "open"}
    settings = PredictionSettings.model_validate(given)
    app = create_app(settings, lambda: registry, use_cases=[replace(USE_CASE, name="slow"), USE_CASE])
    desks = app.state.deployments
    try:
        for desk in desks.values():
            desk.follower.start()
        until = time.monotonic() + 20
        while desks["toy"].slot.serving.model is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert desks["slow"].slot.serving.model is None
    finally:
        let_go.set()
        for desk in desks.values():
            desk.follower.stop()
            desk.follower.join(10)


@pytest.fixture
def mlflow_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from services.core.model_registry.client import ModelRegistry
    from services.core.settings import Settings

    return ModelRegistry(
        Settings.model_validate({"VIGIE_HOME": tmp_path / "home", "prediction_access": "open"}), patience=30
    )


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning")  # MLflow's
def test_the_real_registrys_champion_is_followed_promoted_and_rolled_back(
    serve: Callable[..., Any], mlflow_registry: Any, toy_bundles: list[Path], tmp_path: Path
) -> None:
    import shutil

    from services.prediction.model_sync.mlflow_registry import connect_registry
    from services.prediction.settings import PredictionSettings

    for number, bundle in enumerate(toy_bundles, start=1):
        shutil.copytree(bundle, tmp_path / f"state-{number}" / "models" / "toy" / "bundle")
    first = mlflow_registry.log_run_and_register("toy", tmp_path / "state-1")
    mlflow_registry.promote("toy", first.number)
    settings = PredictionSettings.model_validate({"VIGIE_HOME": tmp_path / "home"})
    served = serve(lambda: connect_registry(settings))
    one = served.wait_for(lambda body: body["source"] == "champion")
    second = mlflow_registry.log_run_and_register("toy", tmp_path / "state-2")
    mlflow_registry.promote("toy", second.number)
    two = served.wait_for(lambda body: body["model_version"] == str(second.number))
    assert (two["source"], two["answer"] != one["answer"]) == ("champion", True)
    mlflow_registry.rollback("toy")
    back = served.wait_for(lambda body: body["model_version"] == str(first.number))
    assert back["answer"] == one["answer"]
