"""What people do in MLflow's own pages and with a home's folder leaves the registry sound."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.cli.commands.doctor import check_registry
from services.cli.local_platform.backup import backup_home
from services.core.bundle.manifest import BundleManifest, write_manifest
from services.core.errors import VigieError
from services.core.model_registry.client import ModelRegistry
from services.core.params import Gate
from services.core.paths import VigiePaths
from services.core.settings import Settings
from services.training import promotion
from tests.integration.core.model_registry.conftest import registry_at
from tests.processes import ODD_NAME

GATE = Gate(bootstrap=100, minimum_rows=100, max_latency_ratio=100)


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> VigiePaths:
    made = VigiePaths(tmp_path / ODD_NAME / ".vigie")
    made.registry_database.parent.mkdir(parents=True)
    shutil.copy(empty_database, made.registry_database)
    return made


@pytest.fixture
def another(tmp_path: Path, trained: dict[str, Path]) -> Callable[[ModelRegistry], int]:
    """Register and promote one version more, without training."""
    made: list[int] = []

    def register(registry: ModelRegistry) -> int:
        state = shutil.copytree(trained["good"], tmp_path / f"state-{len(made)}")
        bundle = state / "models" / "toy" / "bundle"
        inputs = json.loads((bundle / "inputs.json").read_text())
        inputs["town"]["usual"] = f"town {len(made)}"
        (bundle / "inputs.json").write_text(json.dumps(inputs))
        write_manifest(bundle, BundleManifest.model_validate_json((bundle / "bundle.json").read_bytes()))
        version = registry.log_run_and_register("toy", state)
        registry.promote("toy", version.number)
        made.append(version.number)
        return version.number

    return register


@pytest.fixture
def three(registry: ModelRegistry, another: Callable[[ModelRegistry], int]) -> ModelRegistry:
    """Versions 1, 2 and 3 were champions in turn."""
    assert [another(registry) for _ in range(3)] == [1, 2, 3]
    return registry


def aliases(registry: ModelRegistry) -> dict[str, int]:
    return {alias: version.number for version in registry.versions("toy") for alias in version.aliases}


def found(home: VigiePaths) -> str:
    """What ./vigie doctor says of the registry, or nothing."""
    return "; ".join(check.found for check in check_registry(home) if not check.good)


def bundle_of(home: VigiePaths, number: int) -> Path:
    run = registry_at(home).version("toy", number).run_id
    return home.registry_artifacts / "toy" / run / "artifacts" / "bundle"


def test_an_untouched_registry_has_no_faults(three: ModelRegistry, home: VigiePaths) -> None:
    assert found(home) == ""
    three.rollback("toy")
    assert found(home) == ""


def test_rolling_back_does_without_versions_that_were_tidied_away(three: ModelRegistry, home: VigiePaths) -> None:
    three._client.delete_model_version("toy", "1")
    assert promotion.rollback(home, "toy", by=None, registry=three).champion.number == 2
    assert aliases(three) == {"champion": 2}
    for _ in range(2):
        with pytest.raises(VigieError, match="toy has no previous version"):
            three.rollback("toy")
    assert (aliases(three), found(home)) == ({"champion": 2}, "")


def test_a_home_that_an_older_release_left_with_previous_on_the_champion_is_mended(
    three: ModelRegistry, home: VigiePaths
) -> None:
    three._client.delete_model_version("toy", "1")
    three._client.set_registered_model_alias("toy", "champion", "2")
    assert "previous is the champion itself" in found(home)
    with pytest.raises(VigieError, match="no previous version"):
        three.rollback("toy")
    assert (aliases(three), found(home)) == ({"champion": 2}, "")


def test_without_the_alias_champion_the_gate_refuses_and_a_rollback_gives_one(
    three: ModelRegistry, home: VigiePaths, trained: dict[str, Path], publish: Callable[[Path], None]
) -> None:
    three._client.delete_registered_model_alias("toy", "champion")
    assert "the alias champion was removed" in found(home)
    publish(trained["better"])
    _, decision = promotion.gate_and_register(home, "toy", gate=GATE, registry=three)
    assert decision.outcome == "refused"
    assert "Version 3 served, but the champion was removed" in decision.reasons[0]
    assert three.rollback("toy").number == 2
    assert aliases(three) == {"challenger": 4, "champion": 2, "previous": 1}
    assert found(home) == ""


def test_a_champion_that_came_past_the_gate_is_found(
    three: ModelRegistry, home: VigiePaths, trained: dict[str, Path]
) -> None:
    number = three.log_run_and_register("toy", trained["better"]).number
    three._client.set_registered_model_alias("toy", "champion", str(number))
    assert f"version {number} became champion past ./vigie promote and the gate" in found(home)


@pytest.mark.parametrize("act", ["rollback", "promote"])
def test_a_version_without_its_bundle_never_becomes_the_champion(
    three: ModelRegistry, home: VigiePaths, act: str
) -> None:
    shutil.rmtree(bundle_of(home, 2))
    assert "toy version 2 has no bundle any more" in found(home)
    before = aliases(three)
    with pytest.raises(VigieError, match="does not give bundle of toy version 2"):
        three.rollback("toy") if act == "rollback" else three.promote("toy", 2)
    assert aliases(three) == before
    three.promote("toy", 1)
    assert aliases(three)["champion"] == 1


def test_an_experiment_that_was_deleted_is_brought_back(
    three: ModelRegistry, home: VigiePaths, another: Callable[[ModelRegistry], int]
) -> None:
    three._client.delete_experiment(three._client.get_experiment_by_name("toy").experiment_id)
    assert "its experiment was deleted" in found(home)
    with capture_logs() as logs:
        assert another(three) == 4
    assert [line["use_case"] for line in logs if "deleted in MLflow" in line["event"]] == ["toy"]
    assert (aliases(three)["champion"], found(home)) == (4, "")


@pytest.mark.parametrize("way", ["moved", "copied"])
def test_a_home_elsewhere_is_whole_and_writes_nothing_to_the_old_place(
    three: ModelRegistry, home: VigiePaths, tmp_path: Path, another: Callable[[ModelRegistry], int], way: str
) -> None:
    new = VigiePaths(tmp_path / "new" / ".vigie")
    shutil.copytree(home.root, new.root) if way == "copied" else shutil.move(home.root, new.root)
    there = sorted(home.root.rglob("*"))
    registry = registry_at(new)
    assert found(new) == ""
    three = registry.version("toy", 3)
    assert (registry.download(three, tmp_path / "read") / "bundle.json").is_file()  # without writing
    assert another(registry) == 4
    assert (bundle_of(new, 4) / "bundle.json").is_file()
    assert sorted(home.root.rglob("*")) == there
    assert found(new) == ""
    with closing(sqlite3.connect(new.registry_database)) as connection:
        assert ODD_NAME.partition("#")[0].strip() not in "\n".join(connection.iterdump()).replace("%20", " ")
    (tmp_path / "backup").mkdir()
    backup_home(settings_of(new), tmp_path / "backup")


def test_a_backup_fails_where_a_version_lies_outside_the_home(
    three: ModelRegistry, home: VigiePaths, tmp_path: Path
) -> None:
    outside = shutil.move(bundle_of(home, 1), tmp_path / "elsewhere")
    with closing(sqlite3.connect(home.registry_database)) as connection, connection:
        connection.execute("UPDATE model_versions SET source = ? WHERE version = 1", (Path(outside).as_uri(),))
    assert "toy version 1 lies outside the home" in found(home)
    (tmp_path / "backup").mkdir()
    with pytest.raises(VigieError, match="The backup would not be whole: toy version 1 lies outside the home"):
        backup_home(settings_of(home), tmp_path / "backup")


def test_a_registry_that_cannot_be_read_is_a_finding(home: VigiePaths) -> None:
    home.registry_database.write_text("no database")
    assert "cannot be read: file is not a database" in found(home)


def settings_of(home: VigiePaths) -> Settings:
    changed = {"home_path": home.root, "registry_url": None, "database_url": None}
    return Settings(_env_file=None).model_copy(update=changed)
