"""``./vigie doctor`` finds what is wrong and says what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.commands import doctor


def test_the_environment_of_the_tests_is_the_locked_one() -> None:
    finding = doctor.check_lock(doctor.CHECKOUT / "requirements" / "lock.txt")
    assert finding.good, finding.found


def test_a_package_of_another_version_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(
        "pytest==0.0.1 \\\n    --hash=sha256:00\nno-such-package==1.0\ncolorama==9 ; sys_platform == 'win32'\n"
    )
    finding = doctor.check_lock(lock)
    assert not finding.good
    assert "pytest" in finding.found
    assert "locked 0.0.1" in finding.found
    assert "no-such-package not installed" in finding.found
    assert "colorama" not in finding.found


def test_a_port_that_another_program_holds_is_named_with_the_setting_that_moves_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        finding = doctor.check_port("prediction", other.getsockname()[1], tmp_path)
    assert not finding.good
    assert finding.needed
    assert psutil.Process().name() in finding.found
    assert "VIGIE_PREDICTION_PORT" in finding.action


def test_a_home_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    finding = doctor._check_home(file / "home")
    assert not finding.good
    assert "VIGIE_HOME" in finding.action


def test_secrets_that_others_can_read_are_found(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    assert doctor.check_private_file("secrets", file).good
    file.write_text("VIGIE_SERVICE_TOKEN=x\n")
    file.chmod(0o644)
    finding = doctor.check_private_file("secrets", file)
    assert not finding.good
    assert f"chmod 600 {file}" in finding.action
    file.chmod(0o600)
    assert doctor.check_private_file("secrets", file).good


def test_a_settings_file_without_a_credential_for_each_service_is_found(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert doctor.check_settings_file(file) == []
    assert CliRunner().invoke(app, ["init", "--file", str(file)]).exit_code == 0
    assert [finding.good for finding in doctor.check_settings_file(file)] == [True]
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if not line.startswith("VIGIE_SERVICE_CALLERS=")))
    (finding,) = doctor.check_settings_file(file)
    assert (finding.good, finding.needed) == (False, False)
    assert "VIGIE_SERVICE_CALLERS" in finding.found
    assert "./vigie init --complete" in finding.action


def test_without_docker_the_platform_still_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = doctor.check_docker()
    assert finding.good
    assert "not installed" in finding.found


def test_an_old_compose_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "docker"
    old.write_text("#!/bin/sh\necho 1.29.2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    finding = doctor.check_docker()
    assert not finding.good
    assert not finding.needed
    assert "Compose v2" in finding.action


@pytest.mark.parametrize(("needed", "code"), [(True, 1), (False, 0)])
def test_it_fails_for_what_is_needed_alone(needed: bool, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [doctor.CheckResult("a part", False, "missing [here]", "add it", needed=needed)]
    monkeypatch.setattr(doctor, "run_checks", lambda _: findings)
    result = CliRunner().invoke(app, ["doctor"], prog_name="./vigie")
    assert result.exit_code == code
    assert "missing [here]" in result.stdout
    assert ("(not needed)" in result.stdout) is not needed


def test_a_home_that_others_can_read_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    finding = doctor._check_home(tmp_path)
    assert (finding.good, finding.action) == (False, f"run: chmod 700 {tmp_path}")
    tmp_path.chmod(0o700)
    assert doctor._check_home(tmp_path).good
