"""A real Alertmanager with the platform's own configuration: what comes in reaches the gateway and people."""

from __future__ import annotations

import os
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from services.core.audit.log import AuditEntryRow
from services.core.monitoring.alerts import EXPIRES_AFTER
from services.core.settings import CHECKOUT
from tests.gateways import PASSWORD, SERVICE_TOKEN, make_gateway
from tests.prometheus_tools import free_port, program, started
from tests.servers import running

FOLDER = CHECKOUT / "monitoring" / "alertmanager"


class Alertmanager:
    def __init__(self, address: str) -> None:
        self.address = address

    def fire(self, name: str, severity: str = "ticket", *, over: bool = False, **labels: str) -> None:
        """As Prometheus would say it: firing for another while, or over."""
        now = datetime.now(UTC)
        alert = {
            "labels": {"alertname": name, "severity": severity, "family": name.lower(), **labels},
            "annotations": {"summary": f"{name} it is.", "summary_fr": f"C'est {name}.", "runbook": "docs/x.md"},
            "startsAt": (now - timedelta(minutes=1)).isoformat() if not over else None,
            "endsAt": now.isoformat() if over else (now + timedelta(minutes=5)).isoformat(),
        }
        alert = {key: value for key, value in alert.items() if value is not None}
        httpx.post(f"{self.address}/api/v2/alerts", json=[alert]).raise_for_status()

    def suppressed(self) -> list[str]:
        """Names of the alerts that are held back."""
        alerts = httpx.get(f"{self.address}/api/v2/alerts").raise_for_status().json()
        return sorted(one["labels"]["alertname"] for one in alerts if one["status"]["state"] == "suppressed")


@contextmanager
def alertmanager(folder: Path, gateway: str, **environment: str) -> Iterator[Alertmanager]:
    program("prometheus-alertmanager")
    address = f"http://127.0.0.1:{(port := free_port())}/alertmanager"
    line = [str(FOLDER / "start.sh"), f"--web.listen-address=127.0.0.1:{port}", "--web.route-prefix=/alertmanager"]
    line += [f"--storage.path={folder / 'data'}", "--log.level=debug"]
    with started(
        line,
        f"{address}/-/ready",
        log=folder / "alertmanager.log",
        environment=_environment(folder, gateway, environment),
    ):
        yield Alertmanager(address)


def _environment(folder: Path, gateway: str, more: Mapping[str, str]) -> dict[str, str]:
    own = {"VIGIE_SERVICE_TOKEN": SERVICE_TOKEN, "VIGIE_GATEWAY_URL": gateway}
    return {"PATH": os.environ["PATH"], "VIGIE_ALERTMANAGER_FOLDER": str(folder / "run"), **own, **more}


def wait_for(what: str, reached: Callable[[], Any], seconds: float = 30.0) -> Any:
    until = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.1)
    return found


@pytest.fixture
def gateway(sqlite_engine: Engine, tmp_path: Path) -> Iterator[tuple[FastAPI, str]]:
    app = make_gateway(tmp_path / "home", sqlite_engine)
    with running(app) as address:
        yield app, address


def _shown(address: str) -> Callable[[], list[str]]:
    form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
    token = httpx.post(f"{address}/auth/token", data=form).json()["access_token"]

    def names() -> list[str]:
        found = httpx.get(f"{address}/admin/alerts", headers={"Authorization": f"Bearer {token}"}).json()
        return sorted(alert["name"] for alert in found["alerts"])

    return names


def test_an_alert_opens_a_banner_and_closes_it(
    gateway: tuple[FastAPI, str], sqlite_engine: Engine, tmp_path: Path
) -> None:
    _, address = gateway
    shown = _shown(address)
    with alertmanager(tmp_path, address) as manager:
        manager.fire("DataDrifted", use_case="fire_response")
        wait_for("the banner", lambda: shown() == ["DataDrifted"])
        manager.fire("DataDrifted", use_case="fire_response", over=True)
        wait_for("its end", lambda: shown() == [])
    with Session(sqlite_engine) as session:
        asked = select(AuditEntryRow.action).where(AuditEntryRow.actor_name == "alertmanager")
        assert list(session.scalars(asked.order_by(AuditEntryRow.sequence))) == ["alert.opened", "alert.closed"]


def test_with_another_token_nothing_is_taken(gateway: tuple[FastAPI, str], tmp_path: Path) -> None:
    _, address = gateway
    shown = _shown(address)
    with alertmanager(tmp_path, address, VIGIE_SERVICE_TOKEN="another-token-of-somebody-else-012345") as manager:
        manager.fire("DataDrifted")
        log = tmp_path / "alertmanager.log"
        wait_for("the refusal", lambda: "unexpected status code 401" in log.read_text())
        assert shown() == []


@pytest.mark.slow
def test_without_a_database_there_is_one_alert_and_one_message_and_no_flood(
    gateway: tuple[FastAPI, str], tmp_path: Path
) -> None:
    _, address = gateway
    shown = _shown(address)
    with (
        _mailbox() as (mail, host),
        alertmanager(
            tmp_path,
            address,
            VIGIE_ALERT_SMTP_HOST=host,
            VIGIE_ALERT_SMTP_FROM="vigie@example.org",
            VIGIE_ALERT_SMTP_TLS="false",
            VIGIE_ALERT_PAGE_TO="on-call@example.org",
            VIGIE_ALERT_TICKET_TO="later@example.org",
        ) as manager,
    ):
        manager.fire("DatabaseDown", "page")
        for number in range(20):
            manager.fire("JobFailed", needs="database", use_case=f"case_{number}")
        manager.fire("DiskFilling", job="training", instance="a")
        wait_for("the banner", lambda: shown() == ["DatabaseDown", "DiskFilling"])
        message = wait_for("the message", lambda: mail[:1])[0]
        assert "RCPT TO:<on-call@example.org>" in message
        assert "DatabaseDown it is." in message.replace("=\r\n", "")
        wait_for("what follows from it to be held back", lambda: manager.suppressed() == ["JobFailed"] * 20)
        assert len(mail) == 1, "what only follows from it is told to nobody"
        assert shown() == ["DatabaseDown", "DiskFilling"]


# --- what start.sh writes -----------------------------------------------------------------------------------


def _written(folder: Path, **environment: str) -> tuple[int, str, dict[str, Any]]:
    """Runs start.sh with a program that ends at once; its exit code, what it said, and the configuration."""
    (folder / "bin").mkdir()
    (folder / "bin" / "alertmanager").write_text("#!/bin/sh\nexit 0\n")
    (folder / "bin" / "alertmanager").chmod(0o755)
    given = _environment(folder, "http://gateway:8600", environment)
    given["PATH"] = f"{folder / 'bin'}:{given['PATH']}"
    done = subprocess.run([FOLDER / "start.sh"], env=given, capture_output=True, text=True, check=False)
    written = folder / "run" / "alertmanager.yml"
    return done.returncode, done.stderr, yaml.safe_load(written.read_text()) if written.exists() else {}


def _receivers(configuration: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {receiver["name"]: receiver for receiver in configuration["receivers"]}


def test_by_default_nothing_is_sent_to_anybody_but_the_gateway(tmp_path: Path) -> None:
    code, _, configuration = _written(tmp_path)
    assert code == 0
    receivers = _receivers(configuration)
    assert receivers["people-now"].keys() == receivers["people-later"].keys() == {"name"}
    assert receivers["platform"]["webhook_configs"][0]["url"] == "http://gateway:8600/internal/alerts"


def test_addresses_and_a_webhook_come_from_the_environment_whatever_is_in_them(tmp_path: Path) -> None:
    odd = 'it\'s: {a} "password" $HOME # not'
    code, _, configuration = _written(
        tmp_path,
        VIGIE_ALERT_SMTP_HOST="mail.example.org:587",
        VIGIE_ALERT_SMTP_FROM="Vigie 'night' <vigie@example.org>",
        VIGIE_ALERT_SMTP_USER=odd,
        VIGIE_ALERT_SMTP_PASSWORD=odd,
        VIGIE_ALERT_PAGE_TO="a@example.org, b@example.org",
        VIGIE_ALERT_WEBHOOK_URL="https://chat.example.org/hook?a=b&c=d",
    )
    assert code == 0
    now, later = (_receivers(configuration)[name] for name in ("people-now", "people-later"))
    (mail,) = now["email_configs"]
    assert mail["to"] == "a@example.org, b@example.org"
    assert mail["from"] == "Vigie 'night' <vigie@example.org>"
    assert mail["auth_username"] == odd
    assert mail["require_tls"] is True
    assert Path(mail["auth_password_file"]).read_text() == odd
    assert now["webhook_configs"][0]["url"] == "https://chat.example.org/hook?a=b&c=d"
    assert "email_configs" not in later, "nobody is named for tickets"


def test_secrets_are_readable_by_the_user_alone_and_stand_in_no_configuration(tmp_path: Path) -> None:
    _written(tmp_path, VIGIE_ALERT_SMTP_PASSWORD="of the mail server")
    for name in ("service-token", "smtp-password", "alertmanager.yml"):
        assert (tmp_path / "run" / name).stat().st_mode & 0o077 == 0
    text = (tmp_path / "run" / "alertmanager.yml").read_text()
    assert SERVICE_TOKEN not in text
    assert "of the mail server" not in text


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"VIGIE_SERVICE_TOKEN": ""}, "VIGIE_SERVICE_TOKEN is not set"),
        ({"VIGIE_ALERT_PAGE_TO": "a@example.org"}, "VIGIE_ALERT_SMTP_HOST (host:port) is not set"),
        (
            {"VIGIE_ALERT_TICKET_TO": "a@example.org", "VIGIE_ALERT_SMTP_HOST": "mail:25"},
            "VIGIE_ALERT_SMTP_FROM is not set",
        ),
    ],
)
def test_what_is_missing_is_said_at_the_start(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    code, error, _ = _written(tmp_path, **environment)
    assert code == 1
    assert said in error


def test_the_banner_is_repeated_before_the_gateway_takes_an_alert_for_over() -> None:
    configuration = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    (route,) = (route for route in configuration["route"]["routes"] if route["receiver"] == "platform")
    assert route["repeat_interval"] == "15m"
    assert timedelta(minutes=15) * 3 < EXPIRES_AFTER


def test_alertmanager_takes_the_configuration_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "service-token").write_text("x")
    (tmp_path / "alertmanager.yml").write_text((FOLDER / "alertmanager.yml").read_text())
    done = subprocess.run(
        [program("amtool"), "check-config", str(tmp_path / "alertmanager.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- a mail server ------------------------------------------------------------------------------------------


@contextmanager
def _mailbox() -> Iterator[tuple[list[str], str]]:
    """The smallest SMTP server: what each connection said, once its message was taken."""
    taken: list[str] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            said = ""
            self.wfile.write(b"220 here\r\n")
            in_data = False
            for raw in self.rfile:
                line = raw.decode(errors="replace")
                said += line
                if in_data:
                    if line == ".\r\n":
                        in_data = False
                        taken.append(said)
                        self.wfile.write(b"250 kept\r\n")
                    continue
                word = line.split()[0].upper() if line.split() else ""
                if word == "DATA":
                    in_data = True
                    self.wfile.write(b"354 go on\r\n")
                elif word == "QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield taken, f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
