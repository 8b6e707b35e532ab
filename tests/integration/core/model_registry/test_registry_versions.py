"""Versions and aliases in a real MLflow on SQLite."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.errors import VigieError
from services.core.model_registry.client import ModelRegistry
from services.core.model_registry.mlflow_backend import from_mlflow
from services.core.paths import VigiePaths
from services.core.settings import Settings
from services.prediction.inference.served_model import LoadedModel
from services.prediction.model_sync.bundle_cache import BundleCache, CachedBundle
from tests.hash_passes import counted
from tests.integration.core.model_registry.conftest import registry_at
from tests.toy.declaration import USE_CASE


def aliases(registry: ModelRegistry) -> dict[str, int]:
    return {alias: version.number for version in registry.versions("toy") for alias in version.aliases}


@pytest.fixture(scope="module")
def database_of_three(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, trained: dict[str, Path]) -> Path:
    """Registering takes a second; the versions' files stay where they were registered and are only read."""
    home = VigiePaths(tmp_path_factory.mktemp("three"))
    home.registry_database.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(empty_database, home.registry_database)
    registry = registry_at(home)
    for name in ("good", "better", "worse"):
        registry.log_run_and_register("toy", trained[name])
    return home.registry_database


@pytest.fixture
def three(home: VigiePaths, database_of_three: Path) -> ModelRegistry:
    """Three versions, none of which serves."""
    with closing(sqlite3.connect(database_of_three)) as made, closing(sqlite3.connect(home.registry_database)) as own:
        made.backup(own)
    return registry_at(home)


def test_asking_an_empty_home_makes_no_database(tmp_path: Path) -> None:
    home = VigiePaths(tmp_path / "new")
    registry = ModelRegistry(Settings().model_copy(update={"home_path": home.root, "registry_url": None}))
    assert registry.by_alias("toy", "champion") is None
    assert registry.versions("toy") == []
    assert not home.registry_database.exists()


def test_reading_without_mlflow_agrees_with_mlflow(three: ModelRegistry) -> None:
    three.promote("toy", 2)
    three.promote("toy", 3)
    three._client.delete_model_version("toy", "1")
    found = three.versions("toy")
    assert [version.number for version in found] == [3, 2]
    for version in found:
        assert version == from_mlflow(three._client.get_model_version("toy", str(version.number)))
        assert three.by_hash("toy", version.bundle_hash) == version == three.version("toy", version.number)
    assert three.by_alias("toy", "champion") == found[0]
    assert three.by_alias("toy", "nobody") is None


def test_a_damaged_database_is_named(home: VigiePaths) -> None:
    home.registry_database.write_bytes(b"no database " * 100)
    with pytest.raises(VigieError, match=r"mlflow\.db cannot be read: file is not a database"):
        registry_at(home).versions("toy")


def test_a_registered_version_carries_what_made_it(registry: ModelRegistry, trained: dict[str, Path]) -> None:
    version = registry.log_run_and_register("toy", trained["good"])
    manifest = read_manifest(trained["good"] / "models" / "toy" / "bundle")
    assert version.number == 1
    assert version.bundle_hash == bundle_hash(manifest)
    assert version.created == manifest.created
    assert version.simulated
    assert version.metrics["seconds"]["mae"] > 0
    assert aliases(registry) == {"challenger": 1}


def test_the_run_holds_parameters_metrics_plots_card_bundle_and_lock(
    registry: ModelRegistry, trained: dict[str, Path], tmp_path: Path
) -> None:
    version = registry.log_run_and_register("toy", trained["good"])
    run = registry._client.get_run(version.run_id)
    assert run.data.params["train.folds"] == "2"
    assert run.data.params["data.seconds.train.rows"] == "1050"
    assert {"seconds/mae", "baseline/seconds/mae", "kind/letter/seconds/mae"} <= set(run.data.metrics)
    assert run.data.tags["simulated"] == "yes"
    assert run.info.status == "FINISHED"
    assert registry.lock_file(version) == (trained["good"] / "dvc.lock").read_text()
    folder = registry.download_evaluation(version, tmp_path / "evaluation")
    assert (folder / "model_card.md").is_file()
    assert (folder / "plots" / "importance.png").is_file()


def test_the_same_bundle_again_is_the_same_version(registry: ModelRegistry, trained: dict[str, Path]) -> None:
    first = registry.log_run_and_register("toy", trained["good"])
    assert registry.log_run_and_register("toy", trained["good"]).number == first.number
    assert len(registry.versions("toy")) == 1


def test_a_run_that_was_interrupted_leaves_no_version(
    registry: ModelRegistry, trained: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry._client, "log_artifacts", dies)
        with pytest.raises(KeyboardInterrupt):
            registry.log_run_and_register("toy", trained["good"])
    assert registry.versions("toy") == []
    experiment = registry._client.get_experiment_by_name("toy")
    assert [run.info.status for run in registry._client.search_runs([experiment.experiment_id])] == ["FAILED"]
    assert registry.log_run_and_register("toy", trained["good"]).number == 1


def test_a_missing_alias_or_model_is_none(three: ModelRegistry) -> None:
    assert three.by_alias("toy", "champion") is None
    assert three.by_alias("nothing", "champion") is None
    with pytest.raises(VigieError, match="no version 99"):
        three.version("toy", 99)


def test_downloading_gives_the_bundle_that_was_registered(
    registry: ModelRegistry, trained: dict[str, Path], tmp_path: Path
) -> None:
    version = registry.log_run_and_register("toy", trained["good"])
    folder = registry.download(version, tmp_path / "bundle")
    assert bundle_hash(read_manifest(folder)) == version.bundle_hash


@pytest.mark.parametrize("damage", ["change", "remove", "add", "swap"])
def test_a_damaged_bundle_is_not_downloaded(
    registry: ModelRegistry, trained: dict[str, Path], tmp_path: Path, damage: str
) -> None:
    version = registry.log_run_and_register("toy", trained["good"])
    stored = Path(version.source.removeprefix("file://"))
    if damage == "change":
        (stored / "inputs.json").write_text("{}")
    elif damage == "remove":
        (stored / "fitted.npz").unlink()
    elif damage == "add":
        (stored / "more.bin").write_bytes(b"x")
    else:
        shutil.rmtree(stored)
        shutil.copytree(trained["better"] / "models" / "toy" / "bundle", stored)
    with pytest.raises(VigieError):
        registry.download(version, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    served = BundleCache(tmp_path / "serving")
    with pytest.raises(VigieError):
        served.install(version.bundle_hash, lambda folder: registry.download_unverified(version, folder))
    assert list(served.folder.iterdir()) == []


def test_a_bundle_that_will_be_served_is_hashed_once_on_its_way(
    registry: ModelRegistry, trained: dict[str, Path], tmp_path: Path
) -> None:
    version = registry.log_run_and_register("toy", trained["good"])
    registered = CachedBundle.of(version)
    with counted() as passes:
        bundle = BundleCache(tmp_path / "serving").install(
            version.bundle_hash, lambda folder: registry.download_unverified(version, folder)
        )
        assert LoadedModel(USE_CASE, bundle, registered).hash == version.bundle_hash
    assert passes == dict.fromkeys(bundle.manifest.files, 1)


def test_artifacts_that_are_gone_are_an_error_that_says_so(
    registry: ModelRegistry, trained: dict[str, Path], tmp_path: Path
) -> None:
    version = registry.log_run_and_register("toy", trained["good"])
    shutil.rmtree(Path(version.source.removeprefix("file://")).parent)
    with pytest.raises(VigieError, match="version 1"):
        registry.download(version, tmp_path / "bundle")


def test_promoting_moves_champion_and_keeps_the_one_before(three: ModelRegistry) -> None:
    three.promote("toy", 1)
    assert three.by_alias("toy", "champion").number == 1
    assert three.by_alias("toy", "previous") is None
    three.promote("toy", 3)
    assert aliases(three) == {"champion": 3, "previous": 1}


def test_promoting_the_champion_again_changes_nothing(three: ModelRegistry) -> None:
    three.promote("toy", 1)
    three.promote("toy", 2)
    three.promote("toy", 2)
    assert three.by_alias("toy", "previous").number == 1


def test_the_newest_version_that_does_not_serve_is_the_challenger(
    three: ModelRegistry, trained: dict[str, Path]
) -> None:
    assert aliases(three)["challenger"] == 3
    three.promote("toy", 3)
    assert "challenger" not in aliases(three)
    three.log_run_and_register("toy", trained["worse"])
    assert "challenger" not in aliases(three)


def test_a_promotion_that_the_gate_decided_for_another_champion_is_refused(three: ModelRegistry) -> None:
    three.promote("toy", 1)
    with pytest.raises(VigieError, match="version 1 now"):
        three.promote("toy", 3, compared_with=2)
    with pytest.raises(VigieError, match="version 1 now"):
        three.promote("toy", 3, compared_with=None)
    three.promote("toy", 3, compared_with=1)
    assert aliases(three)["champion"] == 3


def test_rolling_back_goes_back_step_by_step(three: ModelRegistry) -> None:
    for number in (1, 2, 3):
        three.promote("toy", number)
    assert three.rollback("toy").number == 2
    assert aliases(three) == {"champion": 2, "previous": 1}
    assert three.version("toy", 3).tags["rolled_back"]
    assert three.rollback("toy").number == 1
    with pytest.raises(VigieError, match="no previous version"):
        three.rollback("toy")
    assert three.by_alias("toy", "champion").number == 1


def test_rolling_back_without_a_champion_says_so(three: ModelRegistry) -> None:
    with pytest.raises(VigieError, match="no previous version"):
        three.rollback("toy")


WRITES = ("set_model_version_tag", "set_registered_model_alias", "delete_registered_model_alias")


@contextmanager
def interrupted_after(registry: ModelRegistry, writes: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The registry's next ``writes`` writes happen and the one after does not."""
    left = [writes]

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def write(*args: object, **kwargs: object) -> object:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return original(*args, **kwargs)

        return write

    with monkeypatch.context() as patch:
        for name in WRITES:
            patch.setattr(registry._client, name, counted(getattr(registry._client, name)))
        yield


@pytest.mark.parametrize("writes", range(6))
def test_a_promotion_interrupted_anywhere_leaves_a_champion_and_can_be_done_again(
    three: ModelRegistry, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    three.promote("toy", 1)
    three.promote("toy", 2)
    with interrupted_after(three, writes, monkeypatch), pytest.raises(KeyboardInterrupt):
        three.promote("toy", 3)
    assert three.by_alias("toy", "champion").number in {2, 3}
    three.promote("toy", 3)
    assert aliases(three) == {"champion": 3, "previous": 2}


@pytest.mark.parametrize("writes", range(3))
def test_a_rollback_interrupted_anywhere_leaves_a_champion_and_a_way_back(
    three: ModelRegistry, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    for number in (1, 2, 3):
        three.promote("toy", number)
    with interrupted_after(three, writes, monkeypatch), pytest.raises(KeyboardInterrupt):
        three.rollback("toy")
    champion = three.by_alias("toy", "champion").number
    assert champion in {2, 3}
    assert three.rollback("toy").number == champion - 1


def test_a_server_that_does_not_answer_is_a_quick_and_plain_error(home: VigiePaths) -> None:
    settings = Settings().model_copy(update={"home_path": home.root, "registry_url": "http://user:secret@127.0.0.1:9"})
    with pytest.raises(VigieError, match="127") as error:
        ModelRegistry(settings).by_alias("toy", "champion")
    assert "secret" not in str(error.value)
