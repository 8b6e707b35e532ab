"""The real edge before the real prediction service: what strangers cost, what it asks first, and what it adds.

Needs Caddy 2.8 or newer: on the path, or named in ``VIGIE_CADDY``."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import psutil
import pytest

from services.core.settings import CHECKOUT
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.memory_groups import memory_group
from tests.servers import running
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

CADDY = os.environ.get("VIGIE_CADDY") or shutil.which("caddy") or ""
MEMORY = 1 << 30
"""Of the edge in docker-compose.yml (``mem_limit``)."""
FLAT = 200_000_000
CALL = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}

pytestmark = pytest.mark.skipif(not CADDY, reason="there is no Caddy here (2.8 or newer, or VIGIE_CADDY)")


@dataclass
class Edge:
    port: int
    process: psutil.Process
    prediction: str

    def send(self, head: str, body: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(head.encode() + body)
        return connection

    def ask(self, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        return httpx.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=30, **more)

    @property
    def memory(self) -> int:
        resident: int = self.process.memory_info().rss
        return resident


def _head(path: str, size: int) -> str:
    return (
        f"POST /v1/toy/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def edge_before(prediction: str, folder: Path) -> Iterator[Edge]:
    """The repository's own Caddyfile, with an address of this machine for each of Compose's names."""
    port = _free_port()
    text = (CHECKOUT / "deploy" / "edge" / "Caddyfile").read_text()
    behind = prediction.rpartition(":")[2]
    text = re.sub(r"import replicas prediction \d+ (\w+) .*", rf"to 127.0.0.1:{behind}\n lb_try_duration \1", text)
    text = re.sub(r"import replicas gateway .*", "to 127.0.0.1:1", text)
    text = re.sub(
        r"\b(?:gateway|dashboard|airflow-api|registry|grafana|prometheus|alertmanager):\d+ \{", "127.0.0.1:1 {", text
    )
    text = re.sub(r"http://:2020 \{", f"http://127.0.0.1:{_free_port()} {{", text)
    (folder / "Caddyfile").write_text(text)
    environment = {
        **os.environ,
        "XDG_DATA_HOME": str(folder),
        "VIGIE_EDGE_REGISTRY_LOGIN": "none",
        "VIGIE_EDGE_SITE": f"http://:{port}",
        "GOMEMLIMIT": "800MiB",
    }
    command = [CADDY, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with memory_group(f"vigie-edge-{secrets.token_hex(4)}", MEMORY) as join, (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        if join is not None:
            join(process.pid)
        try:
            made = Edge(port, psutil.Process(process.pid), prediction)
            until = time.monotonic() + 30
            while True:
                try:
                    made.ask("/baseline/")
                    break
                except httpx.TransportError:
                    assert time.monotonic() < until, (folder / "log").read_text()
                    time.sleep(0.05)
            yield made
        finally:
            process.terminate()
            assert process.wait(20) is not None


@pytest.fixture(scope="module")
def make_app(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    def make(**settings: Any) -> Any:
        home = tmp_path_factory.mktemp("home")
        chosen = PredictionSettings.model_validate({"VIGIE_HOME": home, **settings})
        return create_app(chosen, FolderRegistry, use_cases=[USE_CASE])

    return make


@pytest.fixture(scope="module")
def closed(make_app: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The edge before a service that knows nobody."""
    app = make_app(gateway_url="http://127.0.0.1:1", service_token="t" * 32)
    with running(app) as prediction, edge_before(prediction, tmp_path_factory.mktemp("edge")) as edge:
        yield edge


@pytest.fixture(scope="module")
def opened(make_app: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The edge before a service that answers everybody."""
    with ExitStack() as stack:
        prediction = stack.enter_context(running(make_app(prediction_access="open")))
        yield stack.enter_context(edge_before(prediction, tmp_path_factory.mktemp("edge")))


@pytest.mark.parametrize("size", [15_900_000, 190_000], ids=["batches", "single calls"])
def test_bodies_of_strangers_are_not_kept(closed: Edge, size: int) -> None:
    """80 at once, each all but its last byte."""
    head = _head("predict/batch" if size > 1_000_000 else "predict", size)
    before, most = closed.memory, 0
    with ExitStack() as held:
        for _ in range(80):
            connection = held.enter_context(closed.send(head))
            connection.settimeout(0.5)
            with suppress(OSError):  # refused before it was read
                connection.sendall(b" " * (size - 1))
            most = max(most, closed.memory)
    assert most - before < FLAT
    assert closed.ask("/v1/use-cases").status_code in {401, 503}


@pytest.mark.parametrize("size", [190_000, 15_900_000])
def test_who_calls_is_asked_before_the_body_is_read(closed: Edge, size: int) -> None:
    def refused() -> float:
        figures = httpx.get(f"{closed.prediction}/metrics").text
        return sum(
            float(each) for each in re.findall(r"^vigie_credentials_refused_total.* (\S+)$", figures, re.MULTILINE)
        )

    before = refused()
    with closed.send(_head("predict/batch", size)):  # and no body
        until = time.monotonic() + 10
        while refused() == before:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_bodies_of_known_callers_do_not_add_up_either(opened: Edge) -> None:
    before, most = opened.memory, 0
    with ExitStack() as held:
        for _ in range(40):
            connection = held.enter_context(opened.send(_head("predict/batch", 15_900_000)))
            connection.settimeout(0.5)
            with suppress(OSError):
                connection.sendall(b" " * 15_000_000)
            most = max(most, opened.memory)
    assert most - before < FLAT
    assert opened.ask("/v1/toy/predict", "POST", json=CALL).status_code == 200


def test_calls_pass_whatever_their_size(opened: Edge) -> None:
    assert opened.ask("/v1/toy/predict", "POST", json=CALL).json()["use_case"] == "toy"
    large = {"rows": [CALL] * 3_000}
    assert len(json.dumps(large)) > 200_000
    assert len(opened.ask("/v1/toy/predict/batch", "POST", json=large).json()["answers"]) == 3_000


@pytest.mark.parametrize("path", ["/v1/docs", "/v1/use-cases", "/v1/toy/nothing", "/auth/x", "/mlflow/", "/"])
def test_every_answer_has_every_header_that_protects_browsers(opened: Edge, path: str) -> None:
    headers = opened.ask(path).headers
    wanted = {
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "permissions-policy",
        "cross-origin-opener-policy",
    }
    assert wanted <= set(headers)


def test_files_are_taken_from_nobody_who_has_not_signed_in(opened: Edge) -> None:
    """The gateway, which says who has, is not there: no upload gets past the edge without it."""
    answer = opened.ask("/_stcore/upload_file/a/b", "PUT", content=b"x" * 1_000)
    assert answer.status_code == 502
    assert "edge_502" in answer.text


class DiesOnce(BaseHTTPRequestHandler):
    """Answers who calls; of the first call it takes the body and closes the connection, as a killed replica does."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    bodies: ClassVar[list[tuple[str, bytes]]] = []

    def do_GET(self) -> None:
        self._answer(204)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append((self.headers["X-Request-Id"], body))
        if len(self.bodies) == 1:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status == 200:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_single_call_that_a_replica_died_on_is_asked_again(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), DiesOnce) as stub:
        thread = threading.Thread(target=stub.serve_forever)
        thread.start()
        try:
            with edge_before(f"http://127.0.0.1:{stub.server_address[1]}", tmp_path) as edge:
                body = b"x" * 150_000
                answer = edge.ask("/v1/toy/predict", "POST", content=body, headers={"X-Request-Id": "again-1"})
        finally:
            stub.shutdown()
            thread.join()
    assert answer.status_code == 200
    assert DiesOnce.bodies == [("again-1", body)] * 2
