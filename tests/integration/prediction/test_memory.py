"""Prediction in a memory group of Compose's size, under batches whose callers never read the answers."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil

from services.core.settings import CHECKOUT
from tests.memory_groups import memory_group

MEMORY = 2 << 30
"""Of prediction in docker-compose.yml (``mem_limit``)."""
CALL = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}
SERVICE = """
import sys
from services.core.web import server
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

class Told(server.ServiceServer):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("port", self.servers[0].sockets[0].getsockname()[1], flush=True)

server.ServiceServer = Told
settings = PredictionSettings.model_validate({"VIGIE_HOME": sys.argv[1], "prediction_access": "open"})
app = create_app(settings, FolderRegistry, use_cases=[USE_CASE])
server.run_server(server.server_config(app, host="127.0.0.1", port=0))
"""


def test_answers_that_nobody_reads_are_bounded_and_single_calls_go_on(tmp_path: Path) -> None:
    body = json.dumps({"rows": [{f"k{number}": 1 for number in range(60)}] * 10_000}).encode()
    head = "POST /v1/toy/predict/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with ExitStack() as stack:
        join = stack.enter_context(memory_group(f"vigie-prediction-{secrets.token_hex(4)}", MEMORY))
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        process = subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(tmp_path)], cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE
        )
        stack.enter_context(process)
        stack.callback(process.kill)
        if join is not None:
            join(process.pid)
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith(b"port "):
            assert line, "the service did not start"
        port = int(line.split()[1])
        resident = psutil.Process(process.pid).memory_info
        before = most = resident().rss
        for _ in range(40):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.settimeout(1)
            with suppress(OSError):  # refused before all of it was sent
                connection.sendall(request)
            began = time.monotonic()
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/toy/predict", json=CALL, timeout=10)
            assert answer.status_code == 200
            assert time.monotonic() - began < 5
            most = max(most, resident().rss)
        assert process.poll() is None
        assert most - before < 600_000_000
