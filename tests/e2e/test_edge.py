"""The edge, in front of stand-ins for everything behind it: what it lets through, to whom, and what it adds."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.stack import free_port

pytestmark = pytest.mark.docker

DIED = "/tmp/died"  # noqa: S108 - the stand-in's own
STUBS = Path(__file__).with_name("stub_services.py")
BEHIND = {
    "gateway": 8600,
    "airflow-api": 8080,
    "registry": 5500,
    "grafana": 3000,
    "prometheus": 9090,
    "alertmanager": 9093,
}


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0 or not check, done.stderr
    return (done.stdout + (done.stderr if arguments[0] == "logs" else "")).strip()


@dataclass
class Edge:
    name: str
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_stub(self, service: str, *ports: int) -> str:
        """A stand-in with its own name and address; its container's name."""
        name = f"{self.name}-{service}-{secrets.token_hex(2)}"
        mount = f"{STUBS}:/stub.py:ro"
        docker("run", "-d", "--init", "--name", name, "--network", self.name, "--network-alias", service, "-v", mount,
               "vigie/serving:local", "python", "-S", "/stub.py", *map(str, ports))  # fmt: skip
        return name

    def ask(self, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        return httpx.request(method, self.address + path, timeout=30, **more)

    def seen(self, path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
        """What the stand-in behind the edge was asked."""
        answer = self.ask(path, method, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def log(self) -> list[dict[str, Any]]:
        lines = docker("logs", f"{self.name}-edge").splitlines()
        return [entry for line in lines if line.startswith("{") and "request" in (entry := json.loads(line))]


@pytest.fixture(scope="module")
def edge(images: tuple[str, ...]) -> Iterator[Edge]:
    made = Edge(f"vigie-e2e-edge-{secrets.token_hex(3)}", free_port())
    try:
        docker("network", "create", made.name)
        made.start_stub("prediction", 8500)
        made.start_stub("prediction", 8500)
        for service, port in BEHIND.items():
            made.start_stub(service, port)
        confined = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE")  # noqa: S108
        docker("run", "-d", "--init", "--name", f"{made.name}-edge", "--network", made.name, *confined,
               "-e", "VIGIE_REGISTRY_READER_PASSWORD=right", "-p", f"127.0.0.1:{made.port}:8000",
               "vigie/edge:local")  # fmt: skip
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if made.ask("/v1/hello").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield made
    finally:
        names = docker("ps", "-aq", "--filter", f"name={made.name}", check=False).split()
        if names:
            docker("rm", "-f", "-v", *names, check=False)
        docker("network", "rm", made.name, check=False)


def session(role: str) -> dict[str, str]:
    return {"Cookie": f"other=1; vigie_session={role}; vigie_csrf=x; _token=airflows"}


@pytest.mark.parametrize(
    ("path", "port"),
    [("/v1/toy/predict", 8500), ("/auth/token", 8600), ("/admin/users", 8600), ("/.well-known/jwks.json", 8600)],
)
def test_programs_reach_their_service(edge: Edge, path: str, port: int) -> None:
    found = edge.seen(path, "POST", content=b"{}")
    assert (found["port"], found["path"]) == (port, path)


@pytest.mark.parametrize(
    "path",
    ["/internal/access-list", "/metrics", "/v1/metrics", "/v1/internal/x", "/auth/../internal/x", "/v1/%2e%2e/metrics",
     "/v1//../internal/x", "/auth/..%2finternal/access-list", "/health/ready", "/jobs", "/.env"],
)  # fmt: skip
def test_what_is_inside_stays_inside(edge: Edge, path: str) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:  # no client tidies the path
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.0 404"), answer


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [("/airflow/dags", "nobody", 401), ("/airflow/dags", "viewer", 403), ("/airflow/dags", "operator", 200),
     ("/mlflow/x", "nobody", 401), ("/mlflow/x", "viewer", 200),
     ("/grafana/x", "viewer", 403), ("/grafana/x", "operator", 200),
     ("/prometheus/x", "nobody", 401), ("/prometheus/x", "viewer", 403), ("/prometheus/x", "operator", 200),
     ("/alertmanager/x", "nobody", 401), ("/alertmanager/x", "viewer", 403), ("/alertmanager/x", "operator", 200)],
)  # fmt: skip
def test_pages_are_for_roles(edge: Edge, path: str, role: str, status: int) -> None:
    assert edge.ask(path, headers=session(role)).status_code == status


def test_a_page_sees_who_is_there_and_no_cookie_of_the_platform(edge: Edge) -> None:
    claimed = {"X-Vigie-User": "root", "X-Vigie-Role": "admin", "X-API-Key": "vig_key"}
    seen = edge.seen("/airflow/dags", headers=session("operator") | claimed)["headers"]
    assert seen["cookie"] == "other=1; _token=airflows"
    assert (seen["x-vigie-user"], seen["x-vigie-role"]) == ("somebody", "operator")
    assert "x-api-key" not in seen


def test_the_registry_is_shown_the_readers_account_and_no_other(edge: Edge) -> None:
    seen = edge.seen("/mlflow/x", headers=session("viewer") | {"Authorization": "Basic somebody"})["headers"]
    assert seen["authorization"] == "Basic cmVhZGVyOnJpZ2h0"  # reader:right
    assert seen["host"] == "registry:5500"


@pytest.mark.parametrize("name", ["X-Vigie-User", "X-Vigie-Role", "X-Vigie-Service", "X-Vigie-On-Behalf-Of"])
def test_nobody_outside_speaks_for_the_platform(edge: Edge, name: str) -> None:
    assert name.lower() not in edge.seen("/v1/x", headers={name: "gateway"})["headers"]
    assert name.lower() not in edge.seen("/admin/x", headers={name: "gateway"})["headers"]


def test_who_calls_is_what_the_edge_saw_not_what_was_claimed(edge: Edge) -> None:
    assert "6.6.6.6" not in edge.seen("/auth/x", headers={"X-Forwarded-For": "6.6.6.6"})["headers"]["x-forwarded-for"]


def test_a_request_keeps_its_id_or_gets_one(edge: Edge) -> None:
    assert edge.seen("/v1/x", headers={"X-Request-Id": "abc-1"})["headers"]["x-request-id"] == "abc-1"
    assert len(edge.seen("/v1/x")["headers"]["x-request-id"]) == 36
    assert len(edge.seen("/v1/x", headers={"X-Request-Id": 'no"id'})["headers"]["x-request-id"]) == 36


def test_an_unanswered_post_is_asked_again_with_the_same_id_and_body(edge: Edge) -> None:
    stubs = docker("ps", "-q", "--filter", f"name={edge.name}-prediction").split()
    for stub in stubs:
        docker("exec", stub, "rm", "-f", DIED)
    seen = edge.seen("/v1/die", "POST", content=b"x" * 50_000, headers={"X-Request-Id": "again-1"})
    died = [docker("exec", stub, "cat", DIED, check=False) for stub in stubs]
    assert "again-1" in died
    assert (seen["headers"]["x-request-id"], seen["body"]) == ("again-1", 50_000)


def test_no_call_is_lost_when_a_replica_is_killed_under_load(edge: Edge) -> None:
    extra = edge.start_stub("prediction", 8500)
    time.sleep(2)  # until the edge has found it
    with httpx.Client(base_url=edge.address, timeout=30) as client, ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.post, "/v1/x", content=b"x" * 2_000) for _ in range(300)]
        docker("kill", extra)
        calls += [pool.submit(client.post, "/v1/x", content=b"x" * 2_000) for _ in range(700)]
        assert {call.result().status_code for call in calls} == {200}


def test_replicas_share_the_work(edge: Edge) -> None:
    assert len({edge.seen("/v1/x")["host"] for _ in range(12)}) == 2


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [("/auth/token", 1_000_000, 413), ("/auth/token", 900_000, 200), ("/v1/toy/outcome", 1_000_000, 413),
     ("/v1/toy/predict", 5_900_000, 200), ("/v1/toy/predict", 6_000_000, 413),
     ("/v1/toy/predict/batch", 15_000_000, 200), ("/v1/toy/predict/batch", 16_000_000, 413)],
)  # fmt: skip
def test_bodies_are_limited(edge: Edge, path: str, size: int, status: int) -> None:
    assert edge.ask(path, "POST", content=b"x" * size).status_code == status


def test_headers_are_limited(edge: Edge) -> None:
    assert edge.ask("/v1/x", headers={"X-Large": "x" * 60_000}).status_code == 431


def test_every_answer_has_the_headers_that_protect_browsers(edge: Edge) -> None:
    for path in ("/", "/v1/x", "/auth/x", "/nothing"):
        headers = edge.ask(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "SAMEORIGIN", path
        assert headers["referrer-policy"] == "same-origin", path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "server" not in headers or "Caddy" not in headers["server"], path
        assert "strict-transport-security" not in headers, "there is no HTTPS here"


def test_a_plain_page_stands_in_for_a_dashboard_that_is_away(edge: Edge) -> None:
    answer = edge.ask("/", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert "text/html" in answer.headers["content-type"]
    assert edge.ask("/sign-in.js").status_code == edge.ask("/style.css").status_code == 200


def test_a_failure_of_the_edge_looks_like_one_of_a_service(edge: Edge) -> None:
    body = edge.ask("/auth/x", "POST", content=b"x" * 1_000_000, headers={"X-Request-Id": "big-1"}).json()
    assert body["request_id"] == "big-1"
    assert set(body["errors"][0]) >= {"field", "reason", "allowed", "type"}


def test_the_log_says_what_happened_and_nothing_private(edge: Edge) -> None:
    private = {"Authorization": "Bearer geheim", "X-API-Key": "geheim", "Cookie": "vigie_session=geheim"}
    edge.ask("/v1/logged?incident=geheim", headers=private | {"X-Request-Id": "logged-1"})
    edge.ask("/auth/failed?incident=geheim", "POST", content=b"x" * 1_000_000, headers=private)
    time.sleep(0.5)
    text = docker("logs", f"{edge.name}-edge")
    assert "geheim" not in text
    (entry,) = (entry for entry in edge.log() if entry.get("request_id") == "logged-1")
    assert (entry["request"]["uri"], entry["status"]) == ("/v1/logged", 200)


def test_with_a_domain_there_is_https_and_hsts_and_http_leads_there(edge: Edge) -> None:
    plain, safe = free_port(), free_port()
    docker("run", "-d", "--rm", "--name", f"{edge.name}-domain", "-e", "VIGIE_REGISTRY_READER_PASSWORD=right",
           "-e", "VIGIE_EDGE_SITE=https://vigie.test", "-e", "VIGIE_EDGE_TLS=internal",
           "-p", f"127.0.0.1:{plain}:8080", "-p", f"127.0.0.1:{safe}:8443", "vigie/edge:local")  # fmt: skip
    with httpx.Client(verify=False, timeout=10) as client:  # noqa: S501 - the authority was made a moment ago
        request = client.build_request("GET", f"https://127.0.0.1:{safe}/style.css", headers={"Host": "vigie.test"})
        request.extensions["sni_hostname"] = "vigie.test"
        until = time.monotonic() + 30
        while True:
            try:
                answer = client.send(request)
                break
            except httpx.TransportError:
                assert time.monotonic() < until, docker("logs", f"{edge.name}-domain")
                time.sleep(0.3)
        assert answer.status_code == 200
        assert "max-age=" in answer.headers["strict-transport-security"]
        led = client.get(f"http://127.0.0.1:{plain}/x", headers={"Host": "vigie.test"})
        assert (led.status_code, led.headers["location"]) == (308, "https://vigie.test/x")
