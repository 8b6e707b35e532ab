"""A proxy in the environment never carries the platform's own calls."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.cli.local_platform.startup import answers_ok
from services.core.audit.entries import AuditEntry, AuditOutbox
from services.core.model_registry.client import ModelRegistry
from services.core.settings import CHECKOUT, Settings, no_proxy_environment
from services.registry.server import health_problem

TO_THE_OUTSIDE = {
    "services/ingestion/sources/http.py",
    "services/core/weather/providers.py",
    "services/gateway/auth/oidc.py",
}
"""What may use a proxy: downloads of official files, the weather and the identity provider."""
_CALLS = {"Client", "AsyncClient", "get", "post", "put", "patch", "delete", "request", "stream"}


class Answering(BaseHTTPRequestHandler):
    """Answers every request with an empty JSON object."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Part(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.seen: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def part() -> Iterator[Part]:
    with Part() as server:
        yield server
        server.shutdown()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Part]:
    """A company's proxy, which records what it is sent."""
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "")  # set, so that what the platform sets is taken back
    with Part() as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, server.url)
        yield server
        server.shutdown()


def test_starting_and_status_ask_the_services_themselves(part: Part, proxy: Part) -> None:
    assert answers_ok(f"{part.url}/health/ready")
    assert health_problem(part.url) is None
    assert (len(part.seen), proxy.seen) == (2, [])


def test_the_registry_is_asked_itself(part: Part, proxy: Part, tmp_path: Path) -> None:
    registry = ModelRegistry(Settings(home_path=tmp_path, registry_url=part.url))
    assert registry.versions("toy") == []
    assert part.seen
    assert proxy.seen == []


def test_audit_entries_reach_the_gateway_itself(part: Part, proxy: Part, tmp_path: Path) -> None:
    outbox = AuditOutbox(tmp_path, part.url, "t" * 32, "training")
    outbox.record(AuditEntry(service="training", action="champion.changed", target="version 1"))
    assert outbox.deliver() == 1
    assert (part.seen, proxy.seen) == (["/internal/audit"], [])


def test_hosts_that_were_excepted_before_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "files.example,registry")
    listed = no_proxy_environment("http://writer:secret@registry:5500/mlflow")["no_proxy"]
    assert listed == "files.example,registry,127.0.0.1,localhost"


@pytest.mark.parametrize("folder", ["services", "airflow"])
def test_every_client_for_the_inside_reads_no_proxy(folder: str) -> None:
    seen, wrong = 0, []
    for file in sorted((CHECKOUT / folder).rglob("*.py")):
        name = file.relative_to(CHECKOUT).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called.endswith("urlopen"):
                wrong.append(f"{name}:{node.lineno}: {called}")
            if name in TO_THE_OUTSIDE or called not in {f"httpx.{method}" for method in _CALLS}:
                continue
            seen += 1
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if None not in given and given.get("trust_env") != "False":  # None: **connection, which states it
                wrong.append(f"{name}:{node.lineno}: {called}")
    assert wrong == []
    assert folder == "airflow" or seen > 10
