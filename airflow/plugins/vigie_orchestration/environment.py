"""Builds Airflow's configuration from Vigie's settings. Variables ``AIRFLOW__...`` that are already set take
precedence."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

from services.core.errors import VigieError
from services.core.settings import settings as shared
from vigie_orchestration.settings import BASE_PATH, AirflowSettings, OrchestrationSettings

ROOT = Path(__file__).resolve().parents[3]
OPERATOR = "operator"


def airflow_environment(chosen: AirflowSettings) -> dict[str, str]:
    """Return every ``AIRFLOW__SECTION__KEY`` that differs from Airflow's default.

    Raises:
        VigieError: a secret is missing.
    """
    secret = jwt_secret(chosen)
    folder = chosen.folder
    public = OrchestrationSettings().edge
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "airflow" / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "airflow" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # LocalExecutor forks this many processes; the default of 32 costs a gigabyte.
        "AIRFLOW__CORE__PARALLELISM": str(chosen.parallelism),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{chosen.api_url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(_derived(secret, "fernet")).decode(),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in roles(chosen).items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(password_file(chosen)),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url(chosen),
        "AIRFLOW__API__BASE_URL": f"{public}{BASE_PATH}",
        "AIRFLOW__API__SECRET_KEY": _derived(secret, "api").hex(),
        "AIRFLOW__API__EXPOSE_CONFIG": "False",
        "AIRFLOW__API__INSTANCE_NAME": "Vigie",
        "AIRFLOW__API_AUTH__JWT_SECRET": secret,
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": shared().log_level,
        # Health is read from the database (see healthcheck.py), so no health server is needed.
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        # On two busy cores processes are slow; the defaults would declare them dead after 30 seconds.
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "60",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "60",
        "AIRFLOW__TRIGGERER__RUNNER_HEALTH_CHECK_THRESHOLD": "120",
        # The end of a task's process is noticed within a second instead of five (see trigger_delay.py).
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "DO_NOT_TRACK": "1",
        "SCARF_ANALYTICS": "false",
    }


def jwt_secret(chosen: AirflowSettings) -> str:
    """Return the key that signs Airflow's tokens.

    Raises:
        VigieError: it is not set.
    """
    if chosen.jwt_secret is None:
        raise VigieError(
            "Airflow has no secret to sign its tokens with.",
            expected="VIGIE_AIRFLOW_JWT_SECRET, at least 64 characters",
            action="Run ./vigie init, which writes random secrets into .env.",
        )
    return chosen.jwt_secret.get_secret_value()


def roles(chosen: AirflowSettings) -> dict[str, str]:
    """Return account -> Airflow role."""
    accounts = {chosen.user: "admin"}
    if chosen.operator_password is not None:
        accounts[OPERATOR] = "op"
    return accounts


def passwords(chosen: AirflowSettings) -> dict[str, str]:
    """Return account -> password.

    Raises:
        VigieError: the administrator's password is not set.
    """
    if chosen.password is None:
        raise VigieError(
            f"Airflow's account {chosen.user!r} has no password.",
            expected="VIGIE_AIRFLOW_PASSWORD, at least 12 characters",
            action="Run ./vigie init, which writes random secrets into .env.",
        )
    found = {chosen.user: chosen.password.get_secret_value()}
    if chosen.operator_password is not None:
        found[OPERATOR] = chosen.operator_password.get_secret_value()
    return found


def password_file(chosen: AirflowSettings) -> Path:
    return chosen.folder / "passwords.json"


def database_url(chosen: AirflowSettings) -> str:
    """Return Airflow's SQLAlchemy URL: psycopg2, from which it derives asyncpg for asynchronous access."""
    if chosen.database_url is None:
        return f"sqlite:///{chosen.folder / 'airflow.db'}"
    scheme, _, rest = chosen.database_url.partition("://")
    return f"postgresql+psycopg2://{rest}" if scheme.startswith("postgresql") else chosen.database_url


def _derived(secret: str, purpose: str) -> bytes:
    """Derive a 32-byte key for one purpose; keys reveal neither the secret nor each other."""
    return hmac.digest(secret.encode(), f"vigie airflow {purpose}".encode(), hashlib.sha256)
