"""Users and keys from the command line, on a database of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.core import settings as core_settings
from services.core.database.connection import database_address, make_engine
from services.core.database.migrate import upgrade
from services.core.errors import ConflictError, NotFoundError
from services.core.paths import VigiePaths
from services.gateway import settings as gateway_settings
from services.gateway.users.service import ensure_centre


class Vigie:
    def __call__(self, *words: str) -> Result:
        result = CliRunner().invoke(app, list(words), prog_name="./vigie")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def users(self) -> dict[str, tuple[str, bool]]:
        listed = json.loads(self("users", "list", "--json").stdout)["users"]
        return {user["name"]: (user["role"], user["active"]) for user in listed}

    def audited(self) -> int:
        return int(json.loads(self("audit", "verify", "--json").stdout)["entries"])


@pytest.fixture
def vigie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vigie]:
    monkeypatch.setenv("VIGIE_HOME", str(tmp_path))
    monkeypatch.setenv("VIGIE_GATEWAY_KEY_ENCRYPTION", base64.urlsafe_b64encode(b"k" * 32).decode())
    monkeypatch.delenv("VIGIE_DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    for cached in (core_settings.settings, gateway_settings.settings):
        cached.cache_clear()
    engine = make_engine(database_address(None, VigiePaths(tmp_path)))
    upgrade(engine)
    with Session(engine) as session, session.begin():
        ensure_centre(session, "default", "Default")
    engine.dispose()
    command = Vigie()
    command("users", "add", "root", "--role", "admin", "--centres", "*")
    command("users", "add", "claire")
    yield command
    for cached in (core_settings.settings, gateway_settings.settings):
        cached.cache_clear()


def test_a_role_is_changed_and_a_user_let_in_or_not_each_with_an_audit_entry(vigie: Vigie) -> None:
    assert vigie.users() == {"claire": ("dispatcher", True), "root": ("admin", True)}
    before = vigie.audited()
    vigie("users", "role", "claire", "operator")
    vigie("users", "deactivate", "claire")
    assert vigie.users()["claire"] == ("operator", False)
    vigie("users", "activate", "claire")
    assert vigie.users()["claire"] == ("operator", True)
    assert vigie.audited() == before + 3


def test_the_last_administrator_and_unknown_users_are_refused_and_nothing_changes(vigie: Vigie) -> None:
    with pytest.raises(ConflictError, match="last active administrator"):
        vigie("users", "deactivate", "root")
    with pytest.raises(ConflictError, match="last active administrator"):
        vigie("users", "role", "root", "viewer")
    with pytest.raises(NotFoundError, match="no user nobody") as raised:
        vigie("users", "deactivate", "nobody")
    assert "./vigie users list" in raised.value.action
    assert vigie.users()["root"] == ("admin", True)
    assert vigie("users", "role", "root", "emperor").exit_code == 2


def test_lists_fit_eighty_columns_and_cut_nothing(vigie: Vigie) -> None:
    name, use_cases = "computer aided dispatch of the north", "fire_response,road_accidents,wine_quality"
    made = vigie("keys", "create", name, "--role", "dispatcher", "--use-cases", use_cases)
    key = made.stderr.split()[1].rstrip(",")
    vigie("users", "add", "someone.with.a.long.name@fire.example")
    for words in (("keys", "list"), ("users", "list")):
        shown = vigie(*words).stdout
        assert max(len(line) for line in shown.splitlines()) <= 80
        assert "…" not in shown
    joined = "".join(vigie("keys", "list").stdout.split())
    assert key in joined
    assert "in force" in vigie("keys", "list").stdout
    for word in (*name.split(), "never"):
        assert word in joined
    assert "id" in vigie("keys", "list").stdout.splitlines()[0].split()


def test_keys_as_json_are_one_object(vigie: Vigie) -> None:
    vigie("keys", "create", "cad")
    (key,) = json.loads(vigie("keys", "list", "--json").stdout)["keys"]
    assert key["name"] == "cad"


def test_revoking_an_unknown_key_names_the_command_that_lists_them(vigie: Vigie) -> None:
    with pytest.raises(NotFoundError) as raised:
        vigie("keys", "revoke", "nope")
    assert raised.value.action == "./vigie keys list shows all."
