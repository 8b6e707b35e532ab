"""Which local services there are, which environment each gets and where secrets come from."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from services.cli.commands.init import SECRETS
from services.cli.local_platform import secrets
from services.cli.local_platform.service_specs import ServiceSpec, service_specs
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.settings import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VigiePaths:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    return VigiePaths(tmp_path / "home")


@pytest.fixture
def listed(home: VigiePaths) -> dict[str, ServiceSpec]:
    settings = Settings(_env_file=None).model_copy(update={"home_path": home.root})
    return {program.name: program for program in service_specs(settings, secrets.ensure(home))}


def test_secrets_are_made_once_and_only_their_owner_reads_them(home: VigiePaths) -> None:
    made = secrets.ensure(home)
    again = secrets.ensure(home)
    assert made.first
    assert not again.first
    assert again.values == made.values
    assert len(set(made.values.values())) == len(secrets.LOCAL_SECRETS)
    assert stat.S_IMODE(secrets.file_path(home).stat().st_mode) == 0o600
    assert [file.name for file in home.root.iterdir()] == ["secrets.env"]


def test_a_secret_that_a_newer_version_needs_is_added_and_the_others_stay(home: VigiePaths) -> None:
    made = secrets.ensure(home)
    file = secrets.file_path(home)
    file.write_text("\n".join(line for line in file.read_text().splitlines() if "AIRFLOW" not in line) + "\n")
    again = secrets.ensure(home)
    assert not again.first
    assert again.values["VIGIE_SERVICE_TOKEN"] == made.values["VIGIE_SERVICE_TOKEN"]
    assert again.values["VIGIE_AIRFLOW_PASSWORD"] != made.values["VIGIE_AIRFLOW_PASSWORD"]


def test_a_secret_of_the_environment_wins(home: VigiePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_GATEWAY_ADMIN_PASSWORD", "chosen by a person")
    assert secrets.ensure(home).values["VIGIE_GATEWAY_ADMIN_PASSWORD"] == "chosen by a person"
    assert "chosen by" not in secrets.file_path(home).read_text()


def test_secrets_that_others_can_read_are_refused(home: VigiePaths) -> None:
    secrets.ensure(home)
    secrets.file_path(home).chmod(0o644)
    with pytest.raises(VigieError, match="read by others"):
        secrets.ensure(home)


def test_every_program_knows_its_own_secrets_and_no_others(listed: dict[str, ServiceSpec]) -> None:
    known = {
        name: {variable for variable in program.environment if variable in SECRETS} for name, program in listed.items()
    }
    assert known["migrate"] == set()
    assert known["registry"] == {
        name for name in SECRETS if name.startswith("VIGIE_REGISTRY_") and "DATABASE" not in name
    }
    assert known["ingestion"] == known["preprocessing"] == known["training"] == {"VIGIE_SERVICE_TOKEN"}
    tokens = {name: program.environment.get("VIGIE_SERVICE_TOKEN") for name, program in listed.items()}
    own = {name: token for name, token in tokens.items() if token and not name.startswith("airflow-")}
    assert len(set(own.values())) == len(own) == 8
    assert len({token for name, token in tokens.items() if name.startswith("airflow-")}) == 1
    assert {name for name, secret in known.items() if "VIGIE_GATEWAY_KEY_ENCRYPTION" in secret} == {"gateway"}
    users = {name: program.environment.get("MLFLOW_TRACKING_USERNAME") for name, program in listed.items()}
    assert {name for name, user in users.items() if user == "writer"} == {"training"}
    assert "admin" not in users.values()


def test_every_program_listens_on_this_machine_alone_and_has_a_health_of_its_own(
    listed: dict[str, ServiceSpec],
) -> None:
    for program in listed.values():
        if program.port:
            part = "airflow" if program.name == "airflow-api" else program.name
            assert program.environment[f"VIGIE_{part.upper()}_HOST"] == "127.0.0.1"
            assert program.environment[f"VIGIE_{part.upper()}_PORT"] == str(program.port)
        assert program.once or program.health or program.check
    ports = [program.port for program in listed.values() if program.port]
    assert len(set(ports)) == len(ports)


def test_what_comes_first_is_a_program_too_and_prediction_waits_for_nothing(listed: dict[str, ServiceSpec]) -> None:
    assert {name for program in listed.values() for name in program.after} <= set(listed)
    assert listed["prediction"].after == ()
    assert listed["airflow-scheduler"].after == ("airflow-api",)


def test_airflow_can_be_left_out_and_the_gateway_knows(home: VigiePaths) -> None:
    settings = Settings(_env_file=None).model_copy(update={"home_path": home.root})
    left = {program.name: program for program in service_specs(settings, secrets.ensure(home), airflow=False)}
    assert not [name for name in left if name.startswith("airflow")]
    assert "VIGIE_AIRFLOW_URL" not in left["gateway"].environment
