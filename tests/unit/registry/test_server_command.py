"""The command line of the MLflow server."""

from __future__ import annotations

import configparser
import stat
from pathlib import Path
from typing import Any

import pytest

from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.registry.server import (
    ENVIRONMENT,
    ServerSettings,
    command,
    environment,
    host_header,
    places_well,
    probe_credentials,
    users_database_url,
    write_auth_config,
)

HOME = VigiePaths(Path("/srv/vigie"))
SECRETS: dict[str, Any] = {"admin_password": "a" * 12, "reader_password": "r" * 12, "secret_key": "k" * 32}


def chosen(**settings: Any) -> ServerSettings:
    return ServerSettings(_env_file=None, **settings)


def after(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def test_the_default_listens_on_this_machine_alone_with_one_worker() -> None:
    arguments = command(HOME, chosen())
    assert after(arguments, "--host") == "127.0.0.1"
    assert after(arguments, "--workers") == "1"
    backend = environment(HOME, chosen())["MLFLOW_BACKEND_STORE_URI"]
    assert backend == "sqlite:////srv/vigie/registry/mlflow.db"


def test_embedded_clients_and_the_server_share_the_artifacts_folder() -> None:
    arguments = command(HOME, chosen())
    assert "--no-serve-artifacts" in arguments
    assert after(arguments, "--default-artifact-root") == "file:///srv/vigie/registry/artifacts"


def test_for_clients_elsewhere_artifacts_go_through_the_server() -> None:
    arguments = command(HOME, chosen(artifacts="proxied", prefix="/mlflow"))
    assert "--serve-artifacts" in arguments
    assert after(arguments, "--static-prefix") == "/mlflow"


def test_host_headers_are_limited_and_the_job_runner_is_off() -> None:
    assert after(command(HOME, chosen()), "--allowed-hosts") == "127.0.0.1:*,localhost:*"
    assert ENVIRONMENT["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_the_databases_password_is_not_on_the_command_line() -> None:
    settings = chosen(backend="postgresql+psycopg://vigie:secret@db/mlflow", **SECRETS)
    assert environment(HOME, settings)["MLFLOW_BACKEND_STORE_URI"] == settings.backend
    assert not any("secret" in argument or "a" * 12 in argument for argument in command(HOME, settings))


def test_without_a_password_only_this_machine_is_served() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        chosen(host=host).check()
    for host in ("0.0.0.0", "10.0.0.1", "registry"):  # noqa: S104 - what has to be refused
        with pytest.raises(VigieError, match="serve everybody"):
            chosen(host=host).check()
    chosen(host="0.0.0.0", **SECRETS).check()  # noqa: S104


def test_passwords_need_a_key_to_sign_with() -> None:
    with pytest.raises(VigieError, match="no key"):
        chosen(admin_password="a" * 12).check()


def test_a_password_turns_authentication_on() -> None:
    assert "--app-name" not in command(HOME, chosen())
    assert after(command(HOME, chosen(**SECRETS)), "--app-name") == "basic-auth"


def test_mlflows_file_of_settings_is_private_and_takes_any_password(tmp_path: Path) -> None:
    settings = chosen(backend="postgresql+psycopg://vigie:p%40ss@db/mlflow", **SECRETS)
    made = write_auth_config(VigiePaths(tmp_path), settings)
    file = Path(made["MLFLOW_AUTH_CONFIG_PATH"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    read = configparser.ConfigParser()  # as MLflow does
    read.read(file)
    assert read["mlflow"]["database_uri"] == settings.backend
    assert read["mlflow"]["default_permission"] == "READ"
    assert "a" * 12 not in file.read_text()


def test_users_are_kept_with_the_models_unless_told_otherwise() -> None:
    assert users_database_url(HOME, chosen()) == "sqlite:////srv/vigie/registry/users.db"
    assert users_database_url(HOME, chosen(backend="postgresql://db/mlflow")) == "postgresql://db/mlflow"
    assert (
        users_database_url(HOME, chosen(backend="postgresql://a/b", auth_backend="sqlite:///u.db")) == "sqlite:///u.db"
    )


def test_the_check_asks_as_the_least_of_users_under_the_name_that_clients_use() -> None:
    assert probe_credentials(chosen()) is None
    assert probe_credentials(chosen(**SECRETS)) == ("reader", "r" * 12)
    assert probe_credentials(chosen(**{**SECRETS, "reader_password": None})) == ("admin", "a" * 12)
    assert host_header("http://user:secret@registry:5500/mlflow") == "registry:5500"
    assert host_header(None) is None


@pytest.mark.parametrize(
    ("location", "good"),
    [
        ("", True),
        ("mlflow-artifacts:/toy", True),
        ("HOME/registry/artifacts/toy", True),
        ("file://HOME/registry/artifacts/toy", True),
        ("file:///etc", False),
        ("/etc", False),
        ("etc", False),
        ("file://HOME/registry/artifacts/../mlflow.db", False),
        ("file://HOME/registry/artifacts/%2e%2e/%2e%2e/database", False),
        ("file://elsewhere/HOME/registry/artifacts/toy", False),
        ("s3://bucket/toy", False),
    ],
)
def test_nobody_chooses_where_an_experiments_files_lie(tmp_path: Path, location: str, good: bool) -> None:
    assert places_well(VigiePaths(tmp_path), location.replace("HOME", str(tmp_path))) == good
