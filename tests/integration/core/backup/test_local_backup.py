"""A platform of local processes is backed up while it is written to, destroyed and brought back."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
from sqlalchemy import insert, select

from services.cli.commands.backup import backup as backup_command
from services.cli.local_platform import backup, secrets
from services.cli.local_platform.service_specs import ServiceSpec
from services.cli.local_platform.supervisor import Supervisor
from services.core.auth.tables import CentreRow, UserRow
from services.core.backup import archive as sqlite
from services.core.backup import archive as trees
from services.core.backup import manifest
from services.core.bundle.manifest import BundleManifest, bundle_hash, read_manifest, write_manifest
from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.errors import VigieError
from services.core.model_registry import sqlite_backend
from services.core.model_registry.client import ModelRegistry
from services.core.paths import VigiePaths
from services.core.pipeline.workspace import publish_state
from services.core.settings import Settings
from tests.integration.core.model_registry.conftest import LOCK, registry_at
from tests.toy.bundles import make_examples, make_toy_bundle

# What the module shares takes seconds to make: in one of pytest-xdist's processes, not in each.

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Platform:
    """A home as running services leave it, with ways to go on writing to it."""

    home: VigiePaths
    states: Path
    registered: int = 0

    @property
    def settings(self) -> Settings:
        return settings_of(self.home.root)

    @property
    def registry(self) -> ModelRegistry:
        return registry_at(self.home)

    def register(self) -> int:
        """Train a little: another version, promoted, and its state published."""
        self.registered += 1
        state = shutil.copytree(self.states / "first", self.states / str(self.registered))
        bundle = state / "models" / "toy" / "bundle"
        inputs = json.loads((bundle / "inputs.json").read_text())
        inputs["town"]["usual"] = f"town {self.registered}"
        (bundle / "inputs.json").write_text(json.dumps(inputs))
        write_manifest(bundle, BundleManifest.model_validate_json((bundle / "bundle.json").read_bytes()))
        number = self.registry.log_run_and_register("toy", state).number
        self.registry.promote("toy", number)
        publish_state(self.home, "toy", state, f"run-{self.registered:04d}")
        return number

    def add_user(self, name: str) -> None:
        engine = make_engine(f"sqlite:///{self.home.database}")
        with engine.begin() as connection:
            row = {"name": name, "password_hash": "x", "role": "viewer", "centre": "north"}
            connection.execute(insert(UserRow).values(id=name, created=NOW, password_changed=NOW, **row))
        engine.dispose()


def settings_of(root: Path) -> Settings:
    return Settings(_env_file=None).model_copy(update={"home_path": root, "registry_url": None, "database_url": None})


def users(home: VigiePaths) -> set[str]:
    engine = make_engine(f"sqlite:///{home.database}")
    with engine.begin() as connection:
        found = set(connection.scalars(select(UserRow.name)))
    engine.dispose()
    return found


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A home with two versions, a user and what else is kept, made once."""
    folder = tmp_path_factory.mktemp("grown")
    state = folder / "states" / "first"
    make_toy_bundle(state / "models" / "toy" / "bundle", examples=make_examples(1_300))
    (state / "models" / "toy" / "evaluation").mkdir()
    (state / "models" / "toy" / "evaluation" / "metrics.json").write_text('{"metrics": {"seconds": {"mae": 1.0}}}')
    (state / "dvc.lock").write_text(LOCK)

    home = VigiePaths(folder / "home")
    made = Platform(home, folder / "states")
    engine = make_engine(f"sqlite:///{home.database}")
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(insert(CentreRow).values(name="north", title="North", created=NOW))
    engine.dispose()
    for number in (1, 2):
        assert made.register() == number
    made.add_user("anna")
    secrets.ensure(home)
    for file, content in {
        home.dvc_cache / "files" / "md5" / "ab" / "cdef": "data of a version",
        home.journal / "one" / "0000000001.jsonl": '{"a call": 1}\n',
        home.logs / "old.log": "not kept",
    }.items():
        file.parent.mkdir(parents=True)
        file.write_text(content)
    return made


@pytest.fixture
def platform(tmp_path: Path, grown: Platform) -> Platform:
    """A copy of it for each test."""
    made = Platform(
        VigiePaths(shutil.copytree(grown.home.root, tmp_path / "home", symlinks=True)),
        shutil.copytree(grown.states, tmp_path / "states"),
        registered=2,
    )
    sqlite_backend.rewrite_artifact_uris(made.home.registry_database, str(grown.home.root), str(made.home.root))
    return made


def restore(home: VigiePaths, folder: Path, *, force: bool = False) -> None:
    """As a command of its own does it: this process's connections to the old files are closed."""
    backup.restore_home(settings_of(home.root), folder, force=force)
    for engine in (*TrackingStore._engine_map.values(), *RegistryStore._engine_map.values()):
        engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backup"
    made.mkdir()
    return made


@pytest.fixture
def writing(platform: Platform) -> Iterator[Callable[[], None]]:
    """Versions and users are added all the time, until this is called."""
    stop, failures = threading.Event(), list[BaseException]()

    def write() -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                platform.add_user(f"user {number}")
                platform.register()
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()
        assert not failures

    yield end
    end()


def every_version_is_whole(registry: ModelRegistry, folder: Path) -> list[int]:
    """The numbers of all versions, each with its bundle as it was registered."""
    numbers = []
    for version in registry.versions("toy"):
        found = registry.download(version, folder / str(version.number))
        assert bundle_hash(read_manifest(found)) == version.bundle_hash
        assert registry.lock_file(version)
        numbers.append(version.number)
    return sorted(numbers)


def test_what_is_destroyed_comes_back_as_it_was_though_it_was_written_to_meanwhile(
    platform: Platform, folder: Path, writing: Callable[[], None], tmp_path: Path
) -> None:
    before = {version.number for version in platform.registry.versions("toy")}
    backup.backup_home(platform.settings, folder)
    writing()
    kept = secrets.ensure(platform.home).values
    shutil.rmtree(platform.home.root)

    restore(platform.home, folder)
    numbers = every_version_is_whole(platform.registry, tmp_path / "bundles")
    assert before <= set(numbers)
    assert numbers == list(range(1, len(numbers) + 1))
    champion = platform.registry.by_alias("toy", "champion")
    assert champion is not None
    assert champion.number in numbers[-2:]  # the newest may have been registered and not yet promoted
    assert "anna" in users(platform.home)
    state = platform.home.current("toy")
    assert read_manifest(state / "models" / "toy" / "bundle")
    assert (platform.home.dvc_cache / "files/md5/ab/cdef").read_text() == "data of a version"
    assert (platform.home.journal / "one/0000000001.jsonl").read_text() == '{"a call": 1}\n'
    assert secrets.ensure(platform.home).values == kept
    assert stat.S_IMODE(secrets.file_path(platform.home).stat().st_mode) == 0o600
    assert not platform.home.logs.exists()
    assert not platform.home.scratch.exists()
    platform.add_user("after")
    platform.registered = 1_000
    assert platform.register() == numbers[-1] + 1


def test_a_version_of_the_backup_has_its_bundle_whenever_it_was_registered(
    platform: Platform, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is what holds it: files before databases would find a version without a bundle here."""
    snapshot, pack = sqlite.snapshot_database, trees.archive_files

    def snapshot_amid_writes(source: Path, target: Path) -> None:
        platform.register()
        snapshot(source, target)
        platform.register()

    monkeypatch.setattr(sqlite, "snapshot_database", snapshot_amid_writes)
    monkeypatch.setattr(trees, "archive_files", lambda root, stream: (platform.register(), pack(root, stream)))
    backup.backup_home(platform.settings, folder)
    versions = [
        version for version, _ in sqlite_backend.registered_bundles(folder / "databases/mlflow.db", platform.home.root)
    ]
    assert len(versions) > 2


def test_a_registered_bundle_that_is_gone_is_said_when_the_backup_is_made(platform: Platform, folder: Path) -> None:
    source = Path(platform.registry.version("toy", 1).source.removeprefix("file://"))
    shutil.rmtree(source)
    with pytest.raises(VigieError, match="version 1 has no bundle"):
        backup.backup_home(platform.settings, folder)
    assert not (folder / manifest.MANIFEST_NAME).exists()


def test_a_call_delivered_while_the_backup_is_made_is_in_the_journal_or_in_the_database(
    platform: Platform, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = sqlite.snapshot_database

    def deliver_first(source: Path, target: Path) -> None:
        """The journal's only segment reaches the database and goes."""
        if source == platform.home.database:
            platform.add_user("delivered")
            (platform.home.journal / "one" / "0000000001.jsonl").unlink()
        snapshot(source, target)

    monkeypatch.setattr(sqlite, "snapshot_database", deliver_first)
    backup.backup_home(platform.settings, folder)
    shutil.rmtree(platform.home.root)
    restore(platform.home, folder)
    assert "delivered" in users(platform.home)
    assert (platform.home.journal / "one" / "0000000001.jsonl").is_file()


def test_a_state_that_is_pruned_while_it_is_copied_is_copied_whole(platform: Platform, folder: Path) -> None:
    with trees.pin_states(platform.home) as pinned:
        for _ in range(3):
            platform.register()
        run, copied = pinned["toy"]
        assert not (platform.home.states("toy") / run).exists()
        assert read_manifest(copied / "models" / "toy" / "bundle")
        assert (copied / "dvc.lock").is_file()
    assert not copied.exists()


def test_another_home_may_take_the_backup(platform: Platform, folder: Path, tmp_path: Path) -> None:
    backup.backup_home(platform.settings, folder)
    shutil.rmtree(platform.home.root)
    elsewhere = VigiePaths(tmp_path / "else where")
    restore(elsewhere, folder)
    assert every_version_is_whole(registry_at(elsewhere), tmp_path / "bundles") == [1, 2]
    assert read_manifest(elsewhere.models("toy") / "bundle")


@pytest.fixture
def made(platform: Platform, folder: Path) -> Path:
    backup.backup_home(platform.settings, folder)
    return folder


def untouched(platform: Platform) -> bool:
    return users(platform.home) == {"anna"} and not (platform.home.root / ".restoring").exists()


def test_a_backup_with_one_bit_changed_or_a_file_less_is_refused(platform: Platform, made: Path) -> None:
    database = made / "databases" / "vigie.db"
    content = database.read_bytes()
    database.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(VigieError, match=r"vigie\.db has changed"):
        backup.restore_home(platform.settings, made, force=True)
    database.unlink()
    with pytest.raises(VigieError, match=r"vigie\.db is missing"):
        backup.restore_home(platform.settings, made, force=True)
    (made / manifest.MANIFEST_NAME).unlink()
    with pytest.raises(VigieError, match="is no backup"):
        backup.restore_home(platform.settings, made, force=True)
    assert untouched(platform)


def test_a_home_that_is_not_empty_is_replaced_only_when_told(platform: Platform, made: Path) -> None:
    with pytest.raises(VigieError, match="not empty"):
        backup.restore_home(platform.settings, made, force=False)
    assert untouched(platform)
    platform.add_user("later")
    platform.register()
    restore(platform.home, made, force=True)
    assert users(platform.home) == {"anna"}
    assert [version.number for version in platform.registry.versions("toy")] == [2, 1]
    assert not (platform.home.root / ".restoring").exists()


@pytest.mark.parametrize("newer", ["schema", "mlflow", "format"])
def test_a_backup_of_a_newer_platform_is_refused(platform: Platform, made: Path, newer: str) -> None:
    file = made / manifest.MANIFEST_NAME
    written = json.loads(file.read_text())
    if newer == "schema":
        written["schema_revisions"].append("access_9999")
    elif newer == "mlflow":
        written["versions"]["mlflow"] = "99.0"
    else:
        written["format"] = manifest.BACKUP_FORMAT + 1
    file.write_text(json.dumps(written))
    with pytest.raises(VigieError, match="newer platform"):
        backup.restore_home(platform.settings, made, force=True)
    assert untouched(platform)


def test_a_running_platform_is_not_restored_over(platform: Platform, made: Path) -> None:
    processes = Supervisor(platform.home)
    processes.start([ServiceSpec("sleep", ["sleep", "60"])])
    try:
        with pytest.raises(VigieError, match="A platform runs"):
            backup.restore_home(platform.settings, made, force=True)
    finally:
        processes.stop()


def test_the_backup_is_for_its_owner_alone_and_never_written_over(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.commands.backup.settings", lambda: platform.settings)
    backup_command(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    with pytest.raises(VigieError, match="there already"):
        backup_command(tmp_path / "new")


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def device(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.CHRTYPE
    return member


@pytest.mark.parametrize(
    "evil",
    [
        [tarfile.TarInfo("../outside")],
        [tarfile.TarInfo("/outside")],
        [tarfile.TarInfo("a/../../outside")],
        [link("link", "../outside")],
        [link("link", "/outside")],
        [link("a", "."), link("a/up", ".."), tarfile.TarInfo("up/outside")],
        [device("device")],
    ],
    ids=lambda members: ", ".join(member.name for member in members),
)
def test_an_archive_cannot_write_outside_of_the_home(tmp_path: Path, evil: list[tarfile.TarInfo]) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member in evil:
            archive.addfile(member, io.BytesIO())
    stream.seek(0)
    with pytest.raises(VigieError, match="which no backup does"):
        trees.unpack(tmp_path / "home", stream)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_snapshot_is_whole_while_rows_are_being_written(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "live.db")) as live:
        live.execute("PRAGMA journal_mode = WAL")
        live.execute("CREATE TABLE pairs (a INTEGER, b INTEGER)")
        live.commit()
        live.execute("INSERT INTO pairs VALUES (1, 1)")
        live.commit()
        live.execute("INSERT INTO pairs VALUES (2, 2)")  # not committed
        sqlite.snapshot_database(tmp_path / "live.db", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT * FROM pairs").fetchall() == [(1, 1)]
