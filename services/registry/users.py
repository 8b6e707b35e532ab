"""MLflow's users: ``admin`` may do all, ``writer`` registers and moves aliases, ``reader`` only reads.

The environment is the truth: a password that changed there is changed at the next start. This module
imports MLflow's authentication, which reads its settings once, so it is imported after they are set.
"""

from __future__ import annotations

import configparser
from io import StringIO
from pathlib import Path

from services.core.home import Home
from services.core.io import atomic_write
from services.registry.settings import ServerSettings

WRITER, READER = "writer", "reader"
WRITTEN = ("experiment", "registered_model")
"""What a writer has all rights to, whoever made it."""
CACHED_SECONDS = 60
"""MLflow hashes the password of every request otherwise, some 80 ms each."""


def users_database(home: Home, chosen: ServerSettings) -> str:
    """SQLAlchemy address of the database that holds the users."""
    return chosen.auth_backend or chosen.backend or f"sqlite:///{home.registry_database.with_name('users.db')}"


def authentication(home: Home, chosen: ServerSettings) -> dict[str, str]:
    """Write MLflow's file of settings, for this user's eyes only, and return the variables that name it."""
    assert chosen.admin_password is not None
    assert chosen.secret_key is not None
    file = home.registry_database.with_name("authentication.ini")
    _write_private(file, _ini(home, chosen))
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(file),
        "MLFLOW_AUTH_ADMIN_USERNAME": chosen.admin_user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": chosen.admin_password.get_secret_value(),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": chosen.secret_key.get_secret_value(),
        # a page that MLflow's authors forgot to guard is closed, not open
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
    }


def _ini(home: Home, chosen: ServerSettings) -> configparser.RawConfigParser:
    settings = configparser.RawConfigParser()
    settings["mlflow"] = {
        "default_permission": "READ",
        "database_uri": users_database(home, chosen).replace("%", "%%"),  # MLflow reads with interpolation
        "authorization_function": "services.registry.authorization:authenticate",
        "auth_cache_ttl_seconds": str(CACHED_SECONDS),
    }
    return settings


def _write_private(file: Path, settings: configparser.RawConfigParser) -> None:
    text = StringIO()
    settings.write(text)
    atomic_write(file, text.getvalue(), mode=0o600)


def make_users(home: Home, chosen: ServerSettings) -> None:
    """Make the users that are not there yet and give all of them the passwords of the settings. A user
    without a password in the settings is removed."""
    from mlflow.server.auth import store  # noqa: PLC0415 - reads the variables of authentication()

    store.init_db(users_database(home, chosen))
    wanted = (
        (chosen.admin_user, chosen.admin_password, True),
        (WRITER, chosen.writer_password, False),
        (READER, chosen.reader_password, False),
    )
    for name, password, admin in wanted:
        if password is None:
            if store.has_user(name):
                store.delete_user(name)
        elif not store.has_user(name):
            store.create_user(name, password.get_secret_value(), is_admin=admin)
        elif not store.authenticate_user(name, password.get_secret_value()):
            store.update_user(name, password=password.get_secret_value())
    if chosen.writer_password is not None:
        for kind in WRITTEN:
            store.grant_user_permission(WRITER, kind, "*", "MANAGE")
