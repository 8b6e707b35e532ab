"""Secrets are replaced, and what was made with them goes on."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.commands import secrets as command
from services.cli.commands.init import SECRETS
from services.cli.local_platform import secrets
from services.cli.local_platform.supervisor import wait_until
from services.core import settings as core_settings
from services.core.audit.log import AuditChain, AuditEntryRow, AuditHeadRow, verify_chain
from services.core.auth.tables import UserRow
from services.core.database.connection import database_address, make_engine
from services.core.database.migrate import upgrade
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT
from services.gateway import maintenance
from services.gateway import settings as gateway_settings
from services.gateway.audit.service import RequestOrigin
from services.gateway.auth.db_authenticator import SigningKeyStore, create_fernet
from services.gateway.container import build_container, prepare_database
from services.gateway.maintenance import COMMAND_LINE_PRINCIPAL
from services.gateway.settings import GatewaySettings
from services.gateway.users.service import ensure_centre
from tests.postgres import server

KEY = command.ENCRYPTION_KEY
DOCUMENT = CHECKOUT / "docs" / "access.md"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VigiePaths]:
    for name in (*SECRETS, "VIGIE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIGIE_HOME", str(tmp_path))
    core_settings.settings.cache_clear()
    yield VigiePaths(tmp_path)
    core_settings.settings.cache_clear()


@pytest.fixture
def engine(home: VigiePaths) -> Iterator[Engine]:
    """A database with a signing key and an audit log, made with the home's encryption key."""
    made = make_engine(database_address(None, home))
    upgrade(made)
    with Session(made) as session, session.begin():
        ensure_centre(session, "default", "Default")
    key = secrets.ensure(home).values[KEY]
    gateway = build_container(GatewaySettings(gateway_key_encryption=key), made)
    gateway.signing.rotate_if_due(1e9)
    CliRunner().invoke(app, ["users", "add", "claire"], prog_name="./vigie")
    yield made
    made.dispose()


def rotate(*names: str) -> str:
    result = CliRunner().invoke(app, ["secrets", "rotate", *names], prog_name="./vigie")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def private_keys(engine: Engine, key: str) -> list[str]:
    return [held.pem() for held in SigningKeyStore(engine, create_fernet(key)).current().keys]


def test_the_encryption_key_is_replaced_and_tokens_and_audit_log_go_on(home: VigiePaths, engine: Engine) -> None:
    old = secrets.read(home)
    signing = private_keys(engine, old[KEY])
    assert signing
    with engine.begin() as connection:
        stored = Fernet(old[KEY]).encrypt(b"a second factor").decode()
        connection.execute(update(UserRow).values(totp_secret=stored))
    printed = rotate(KEY)
    new = secrets.read(home)
    assert new[KEY] != old[KEY]
    assert {name: value for name, value in new.items() if name != KEY} == {
        name: value for name, value in old.items() if name != KEY
    }
    assert private_keys(engine, new[KEY]) == signing, "tokens stay valid"
    with engine.connect() as connection:
        factors = set(connection.scalars(select(UserRow.totp_secret)))
    assert {Fernet(new[KEY]).decrypt(text) for text in factors if text} == {b"a second factor"}
    with pytest.raises(VigieError, match="encrypted with another key"):
        private_keys(engine, old[KEY])
    with engine.connect() as connection:
        report = verify_chain(connection, AuditChain(new[KEY].encode()))
        assert report.intact
        assert not verify_chain(connection, AuditChain(old[KEY].encode())).intact
        actions = list(connection.scalars(select(AuditEntryRow.action).order_by(AuditEntryRow.sequence)))
    assert actions[-1] == "secret.rotated"
    assert "audit.broken" not in actions
    assert f"{report.sequence}:{report.hash}" in printed


def test_a_log_that_was_changed_is_not_signed_anew(home: VigiePaths, engine: Engine) -> None:
    before = secrets.read(home)
    assert before[KEY]
    with engine.begin() as connection:
        connection.execute(update(AuditHeadRow).values(sequence=AuditHeadRow.sequence + 1))
    with pytest.raises(VigieError, match="cannot be signed anew"):
        rotate(KEY)
    assert secrets.read(home) == before
    assert private_keys(engine, before[KEY])


@pytest.mark.parametrize("name", [n for n in secrets.LOCAL_SECRETS if n not in {KEY, command.FIRST_PASSWORD}])
def test_every_other_secret_is_replaced_by_itself(home: VigiePaths, name: str) -> None:
    old = dict(secrets.ensure(home).values)
    rotate(name)
    assert {other for other, value in secrets.read(home).items() if value != old[other]} == {name}
    assert secrets.file_path(home).stat().st_mode & 0o077 == 0


def test_without_a_name_all_but_what_links_calls_is_replaced(home: VigiePaths) -> None:
    old = dict(secrets.ensure(home).values)
    rotate()
    same = {name for name, value in secrets.read(home).items() if value == old[name]}
    assert same == {command.FIRST_PASSWORD, command.PSEUDONYMS}


def test_what_cannot_be_replaced_here_is_refused_with_the_way(
    home: VigiePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.ensure(home)
    with pytest.raises(VigieError) as raised:
        rotate(command.FIRST_PASSWORD)
    assert raised.value.action == "./vigie users reset-password admin"
    with pytest.raises(VigieError, match="has no NOPE"):
        rotate("NOPE")
    monkeypatch.setenv("VIGIE_SERVICE_TOKEN", "x" * 64)
    with pytest.raises(VigieError, match="comes from the environment"):
        rotate("VIGIE_SERVICE_TOKEN")


@pytest.mark.parametrize("committed", [True, False])
def test_an_interrupted_replacement_is_completed_or_forgotten(
    home: VigiePaths, engine: Engine, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = secrets.read(home)[KEY]

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((secrets, "use_next") if committed else (command, "_encrypt_anew")), interrupted)
        with pytest.raises(KeyboardInterrupt):
            command.replace_secrets(home, [KEY])
    assert secrets.read(home)[KEY] == before
    command.finish_interrupted(home)
    now = secrets.read(home)[KEY]
    assert (now != before) is committed
    assert private_keys(engine, now)
    assert secrets.read_next(home) == {}


def test_the_documented_replacement_of_a_database_password_works() -> None:
    """The statement of docs/access.md, on a server that asks for passwords."""
    (statement,) = re.findall(r'psql -U postgres -c "(ALTER ROLE vigie PASSWORD \'…\')"', DOCUMENT.read_text("utf-8"))
    with server() as address, psycopg.connect(f"{plain(address)}postgres", autocommit=True) as admin:
        admin.execute("CREATE ROLE mlflow LOGIN PASSWORD 'the-old-one'")
        rules = Path(str(admin.execute("SHOW hba_file").fetchone()[0]))  # type: ignore[index]
        rules.write_text("host all mlflow 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
        admin.execute("SELECT pg_reload_conf()")
        as_mlflow = {"conninfo": f"{plain(address)}postgres", "user": "mlflow"}
        assert wait_until(lambda: not _lets_in(as_mlflow, "wrong"), seconds=10)
        assert _lets_in(as_mlflow, "the-old-one")
        admin.execute(statement.replace("vigie", "mlflow").replace("…", "the-new-one"))
        assert _lets_in(as_mlflow, "the-new-one")
        assert not _lets_in(as_mlflow, "the-old-one")


def test_the_encryption_key_is_replaced_on_postgresql_by_the_containers_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = SECRETS[KEY](), SECRETS[KEY]()
    with server() as address, ExitStack() as stack:
        monkeypatch.setenv("VIGIE_DATABASE_URL", f"{address}postgres")
        monkeypatch.setenv(KEY, old)
        engine = stack.enter_context(disposed(make_engine(f"{address}postgres")))
        upgrade(engine)
        gateway = build_container(GatewaySettings(), engine)
        prepare_database(gateway)
        with gateway.transaction() as session:
            gateway.trail.add(session, RequestOrigin(), "user.created", by=COMMAND_LINE_PRINCIPAL, target="user x")
        signing = private_keys(engine, old)
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{new}\n"))
        gateway_settings.settings.cache_clear()
        kept = logging.getLogger().handlers[:]
        assert maintenance.main(["rotate-encryption-key"]) == 0
        logging.getLogger().handlers[:] = kept
        gateway_settings.settings.cache_clear()
        assert private_keys(engine, new) == signing
        with engine.connect() as connection:
            report = verify_chain(connection, AuditChain(new.encode()))
        assert report.intact
        assert f"{report.sequence}:{report.hash}" in capsys.readouterr().out


@contextmanager
def disposed(engine: Engine) -> Iterator[Engine]:
    """A server stops when nobody is connected any more."""
    try:
        yield engine
    finally:
        engine.dispose()


def plain(address: str) -> str:
    return address.replace("postgresql+psycopg", "postgresql")


def _lets_in(who: dict[str, str], password: str) -> bool:
    try:
        psycopg.connect(**who, password=password, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
