"""``./vigie init``: a settings file with secrets of its own, once."""

from __future__ import annotations

import base64
import re
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.commands.init import SECRETS, complete_file, service_settings, write_private
from services.core.errors import VigieError
from services.core.settings import CHECKOUT


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["init", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def values(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", file.read_text(), flags=re.MULTILINE))


def test_every_secret_is_random_and_long_enough(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run("--file", str(first))
    run("--file", str(second))
    ours, others = values(first), values(second)
    assert all(len(ours[name]) >= 32 for name in SECRETS)
    assert len({ours[name] for name in SECRETS} | {others[name] for name in SECRETS}) == 2 * len(SECRETS)


def test_secrets_fit_into_an_address_and_into_compose(tmp_path: Path) -> None:
    run("--file", str(tmp_path / "env"))
    assert all(re.fullmatch(r"[A-Za-z0-9_=-]+", values(tmp_path / "env")[name]) for name in SECRETS)


def test_the_key_that_encrypts_keys_is_a_fernet_key() -> None:
    assert len(base64.urlsafe_b64decode(SECRETS["VIGIE_GATEWAY_KEY_ENCRYPTION"]())) == 32


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    run("--file", str(tmp_path / "env"))
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "env"]


def test_the_first_login_is_shown_and_no_other_secret(tmp_path: Path) -> None:
    said = run("--file", str(tmp_path / "env"))
    made = values(tmp_path / "env")
    assert "admin" in said
    assert [name for name in SECRETS if made[name] in said] == ["VIGIE_GATEWAY_ADMIN_PASSWORD"]


def test_defaults_stay_comments_so_that_later_versions_can_change_them(tmp_path: Path) -> None:
    run("--file", str(tmp_path / "env"))
    assert set(values(tmp_path / "env")) == {*SECRETS, *service_settings("any"), "COMPOSE_PROFILES"}
    assert "\n# VIGIE_LOG_LEVEL=INFO\n" in (tmp_path / "env").read_text()


def test_every_secret_is_explained_in_the_example_file() -> None:
    text = (CHECKOUT / ".env.example").read_text()
    assert [name for name in SECRETS if f"\n# {name}=\n" not in text] == []
    assert [name for name in service_settings("any") if f"\n# {name}=\n" not in text] == []


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("VIGIE_SERVICE_TOKEN=mine\n")
    with pytest.raises(VigieError, match="there already"):
        write_private(tmp_path / "env", "VIGIE_SERVICE_TOKEN=another\n")
    assert (tmp_path / "env").read_text() == "VIGIE_SERVICE_TOKEN=mine\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "env"]


def test_completing_adds_what_is_missing_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("VIGIE_SERVICE_TOKEN=mine\n# VIGIE_GRAFANA_PASSWORD=\nVIGIE_EDGE_PORT=9000")
    added = complete_file(tmp_path / "env")
    assert set(added) == (set(SECRETS) | set(service_settings("mine"))) - {"VIGIE_SERVICE_TOKEN"}
    assert service_settings("mine").items() <= values(tmp_path / "env").items()
    assert (
        (tmp_path / "env")
        .read_text()
        .startswith("VIGIE_SERVICE_TOKEN=mine\n# VIGIE_GRAFANA_PASSWORD=\nVIGIE_EDGE_PORT=9000\n")
    )
    assert complete_file(tmp_path / "env") == []


def test_a_replaced_service_token_gives_every_container_another_one(tmp_path: Path) -> None:
    file = tmp_path / "env"
    run("--file", str(file))
    before = values(file)
    file.write_text(re.sub(r"(?m)^VIGIE_SERVICE_TOKEN=.*$", "VIGIE_SERVICE_TOKEN=another", file.read_text()))
    assert set(complete_file(file)) == set(service_settings("another"))
    assert values(file) == before | {"VIGIE_SERVICE_TOKEN": "another"} | service_settings("another")


def test_completing_names_the_compose_file_of_a_domain_where_it_is_today(tmp_path: Path) -> None:
    file = tmp_path / "env"
    run("--file", str(file), "--domain", "vigie.example.org")
    secret = values(file)["VIGIE_SERVICE_TOKEN"]
    file.write_text(file.read_text().replace("deploy/edge/domain.yml", "services/edge/domain.yml"))
    assert complete_file(file) == ["COMPOSE_FILE"]
    assert values(file)["COMPOSE_FILE"] == "docker-compose.yml:deploy/edge/domain.yml"
    assert values(file)["VIGIE_SERVICE_TOKEN"] == secret
    assert file.stat().st_mode & 0o777 == 0o600
    assert complete_file(file) == []


def test_every_compose_file_that_init_names_is_there(tmp_path: Path) -> None:
    run("--file", str(tmp_path / "env"), "--domain", "vigie.example.org")
    named = values(tmp_path / "env")["COMPOSE_FILE"].split(":")
    assert [name for name in named if not (CHECKOUT / name).is_file()] == []


def test_a_domain_opens_https_and_changes_the_public_address(tmp_path: Path) -> None:
    run("--file", str(tmp_path / "env"), "--domain", "vigie.example.org", "--tls", "internal")
    made = values(tmp_path / "env")
    assert made["COMPOSE_FILE"] == "docker-compose.yml:deploy/edge/domain.yml"
    assert made["VIGIE_DOMAIN"] == "vigie.example.org"
    assert made["VIGIE_TLS"] == "internal"
    assert made["VIGIE_PUBLIC_URL"] == "https://vigie.example.org"
