"""Stands in for everything behind the edge: answers on every service's port and says what it was asked.

Runs inside a container of the serving image with Python alone. ``/v1/die/...`` takes the body and closes the
connection without an answer, as a service does that is killed in the middle.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SESSIONS = {"viewer": {"viewer"}, "operator": {"viewer", "operator"}}


class Stub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together, as they do from a service (services/core/web/server.py)

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path = self.path.partition("?")[0]
        if path == "/auth/check":
            self.check()
        elif path.startswith("/v1/die") and not os.path.exists("/tmp/died"):  # noqa: S108, PTH110
            with open("/tmp/died", "w") as marker:  # noqa: S108, PTH123
                marker.write(self.headers.get("X-Request-Id", ""))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            if path.startswith("/v1/slow"):
                time.sleep(1)
            seen = {
                "host": socket.gethostname(),
                "port": self.server.server_address[1],
                "method": self.command,
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": len(body),
            }
            self.answer(200, json.dumps(seen).encode())

    def check(self) -> None:
        cookie = self.headers.get("Cookie", "")
        held = next((roles for name, roles in SESSIONS.items() if f"vigie_session={name}" in cookie), set())
        wanted = self.path.partition("role=")[2]
        if wanted in held:
            self.send_response(204)
            self.send_header("X-Vigie-User", "somebody")
            self.send_header("X-Vigie-Role", "operator")
            self.end_headers()
        else:
            self.answer(403 if held else 401, b"{}")

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - http.server's names


if __name__ == "__main__":
    servers = [ThreadingHTTPServer(("0.0.0.0", int(port)), Stub) for port in sys.argv[1:]]  # noqa: S104
    for server in servers:
        threading.Thread(target=server.serve_forever).start()
