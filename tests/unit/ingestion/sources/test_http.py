"""Downloads against a local server that misbehaves on demand."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.core.contract.use_case import OfficialFile, UseCase
from services.core.errors import VigieError
from services.core.raw_files import landing
from services.ingestion.sources.http import DownloadLimits, HttpSource, download, is_available

BODY = b"delivery_id,called_at,distance,kind,town,seconds,size\n" + b"D1,2024-01-01,1,letter,east,9,small\n" * 4_000
LIMITS = DownloadLimits(connect_seconds=2.0, size_bytes=1_000_000, pause_seconds=0.01)


class Publisher:
    """What the server does next: each request takes the first of ``plan``, and the last one stays."""

    def __init__(self) -> None:
        self.body = BODY
        self.etag: str | None = '"v1"'
        self.plan: list[str] = ["serve"]
        self.requests: list[dict[str, str]] = []

    def next(self) -> str:
        return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]


class Handler(BaseHTTPRequestHandler):
    publisher: Publisher
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        publisher, action = self.publisher, self.publisher.next()
        publisher.requests.append(dict(self.headers))
        if self.path == "/moved.csv":
            self._empty(302, Location="/file.csv")
        elif action.isdigit():
            self._empty(int(action))
        elif publisher.etag and self.headers.get("If-None-Match") == publisher.etag:
            self._empty(304)
        else:
            self._send(action)

    def _send(self, action: str) -> None:
        body, start = self.publisher.body, 0
        ranged = self.headers.get("Range")
        if ranged and action != "ignore ranges" and self.headers.get("If-Range") == self.publisher.etag:
            start = int(ranged.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if self.publisher.etag:
            self.send_header("ETag", self.publisher.etag)
        if start:
            shown = start + 7 if action == "wrong range" else start
            self.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
        sent = body[start:]
        if action == "endless":
            self.send_header("Connection", "close")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x" * 100_000)
            return
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if action == "break":
            self.wfile.write(sent[: len(sent) // 2])
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True
        else:
            self.wfile.write(sent)

    def _empty(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is expected here."""


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def address(publisher: Publisher) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), type("H", (Handler,), {"publisher": publisher}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(address: str, tmp_path: Path) -> Callable[..., bytes]:
    def call(path: str = "/file.csv", limits: DownloadLimits = LIMITS, **options: Any) -> bytes:
        return download(address + path, tmp_path / "cache", limits, **options).read_bytes()

    return call


def test_the_whole_file_is_fetched(fetch: Callable[..., bytes]) -> None:
    assert fetch() == BODY


def test_an_unchanged_file_is_not_sent_again(fetch: Callable[..., bytes], publisher: Publisher) -> None:
    fetch()
    assert fetch() == BODY
    assert publisher.requests[1]["If-None-Match"] == '"v1"'


def test_a_changed_file_is_fetched_again(fetch: Callable[..., bytes], publisher: Publisher) -> None:
    fetch()
    publisher.body, publisher.etag = BODY + b"more\n", '"v2"'
    assert fetch() == BODY + b"more\n"


def test_a_broken_transfer_goes_on_where_it_stopped(fetch: Callable[..., bytes], publisher: Publisher) -> None:
    publisher.plan = ["break", "serve"]
    assert fetch() == BODY
    assert publisher.requests[1]["Range"] == f"bytes={len(BODY) // 2}-"


def test_a_transfer_broken_in_an_earlier_run_goes_on_too(fetch: Callable[..., bytes], publisher: Publisher) -> None:
    publisher.plan = ["break"]
    with pytest.raises(VigieError, match="cannot be downloaded"):
        fetch(limits=dataclasses.replace(LIMITS, attempts=1))
    publisher.plan = ["serve"]
    assert fetch() == BODY
    assert publisher.requests[-1]["Range"].startswith("bytes=")


def test_a_file_that_changed_since_the_break_is_not_glued_together(
    fetch: Callable[..., bytes], publisher: Publisher
) -> None:
    publisher.plan = ["break"]
    with pytest.raises(VigieError):
        fetch(limits=dataclasses.replace(LIMITS, attempts=1))
    publisher.plan, publisher.body, publisher.etag = ["serve"], b"new,file\n" * 9_000, '"v2"'
    assert fetch() == b"new,file\n" * 9_000


def test_a_server_that_ignores_ranges_sends_the_whole_file_and_that_is_taken(
    fetch: Callable[..., bytes], publisher: Publisher
) -> None:
    publisher.plan = ["break", "ignore ranges"]
    assert fetch() == BODY


@pytest.mark.parametrize("answer", ["wrong range", "416"])
def test_a_server_that_sends_the_wrong_range_is_asked_for_the_whole_file(
    fetch: Callable[..., bytes], publisher: Publisher, answer: str
) -> None:
    publisher.plan = ["break", answer, "serve"]
    assert fetch() == BODY
    assert "Range" not in publisher.requests[-1]


def test_without_a_strong_etag_nothing_is_resumed(fetch: Callable[..., bytes], publisher: Publisher) -> None:
    publisher.plan, publisher.etag = ["break", "serve"], 'W/"weak"'
    assert fetch() == BODY
    assert "Range" not in publisher.requests[-1]


def test_refusals_that_pass_are_tried_again(fetch: Callable[..., bytes], publisher: Publisher) -> None:
    publisher.plan = ["500", "503", "429", "serve"]
    assert fetch() == BODY


def test_refusals_that_stay_end_in_plain_words(fetch: Callable[..., bytes], publisher: Publisher) -> None:
    publisher.plan = ["500"]
    with pytest.raises(VigieError, match=r"the server answered 500 \(4 attempts\)"):
        fetch()
    assert len(publisher.requests) == 4


def test_a_file_that_is_gone_is_not_asked_for_again(fetch: Callable[..., bytes], publisher: Publisher) -> None:
    publisher.plan = ["404"]
    with pytest.raises(VigieError, match="the server answered 404"):
        fetch()
    assert len(publisher.requests) == 1


@pytest.mark.parametrize("action", ["serve", "endless"])
def test_more_than_the_allowed_size_is_never_kept(
    fetch: Callable[..., bytes], publisher: Publisher, tmp_path: Path, action: str
) -> None:
    publisher.plan = [action]
    with pytest.raises(VigieError, match="is larger than"):
        fetch(limits=dataclasses.replace(LIMITS, size_bytes=100_000))
    assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) < 1_000


def test_the_expected_checksum_is_held(fetch: Callable[..., bytes]) -> None:
    assert fetch(sha256=hashlib.sha256(BODY).hexdigest()) == BODY


def test_another_file_than_the_expected_one_is_refused(fetch: Callable[..., bytes], tmp_path: Path) -> None:
    with pytest.raises(VigieError, match="is not the file that was expected"):
        fetch(sha256="0" * 64)
    assert not (tmp_path / "cache" / "body").exists()


def test_a_damaged_cache_is_noticed_and_fetched_anew(fetch: Callable[..., bytes], tmp_path: Path) -> None:
    fetch()
    (tmp_path / "cache" / "body").write_bytes(b"damaged")
    assert fetch() == BODY


def test_a_failed_update_leaves_the_last_complete_file(
    fetch: Callable[..., bytes], publisher: Publisher, tmp_path: Path
) -> None:
    fetch()
    publisher.plan, publisher.etag, publisher.body = ["break"], '"v2"', BODY * 2
    with pytest.raises(VigieError):
        fetch(limits=dataclasses.replace(LIMITS, attempts=1))
    assert (tmp_path / "cache" / "body").read_bytes() == BODY


def test_redirects_are_followed(fetch: Callable[..., bytes]) -> None:
    assert fetch("/moved.csv") == BODY


def test_whether_a_file_is_there_is_asked_once(address: str, publisher: Publisher) -> None:
    assert is_available(f"{address}/file.csv", LIMITS)
    publisher.plan = ["404"]
    assert not is_available(f"{address}/file.csv", LIMITS)
    assert not is_available("http://127.0.0.1:9/file.csv", LIMITS)
    assert len(publisher.requests) == 2


def test_a_name_that_is_looked_up_for_ever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def look_up(*_: Any, **__: Any) -> Any:
        released.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    started = time.monotonic()
    try:
        assert not is_available("http://nowhere.invalid/file.csv", dataclasses.replace(LIMITS, connect_seconds=0.1))
        assert time.monotonic() - started < 5
    finally:
        released.set()


@pytest.fixture
def official(address: str, tmp_path: Path, toy: UseCase) -> HttpSource:
    declared = dataclasses.replace(
        toy,
        data=dataclasses.replace(toy.data, official_files=(OfficialFile(f"{address}/deliveries.csv", "deliveries"),)),
    )
    return HttpSource(declared, tmp_path / "downloads", LIMITS)


def test_the_official_source_lands_what_it_fetched(official: HttpSource, tmp_path: Path) -> None:
    assert official.available()
    assert official.fetch(tmp_path / "landing").added == ("deliveries.csv",)
    (file,) = landing.list_files(tmp_path / "landing")
    assert (file.origin, file.path.read_bytes()) == ("official", BODY)


def test_the_official_source_lands_an_unchanged_file_once(official: HttpSource, tmp_path: Path) -> None:
    official.fetch(tmp_path / "landing")
    assert official.fetch(tmp_path / "landing").known == ("deliveries.csv",)
    assert len(landing.list_files(tmp_path / "landing")) == 1


def test_a_new_edition_of_an_official_file_replaces_the_old_one(
    official: HttpSource, publisher: Publisher, tmp_path: Path
) -> None:
    official.fetch(tmp_path / "landing")
    publisher.body, publisher.etag = BODY + b"D2,2024-01-01,1,letter,east,9,small\n", '"v2"'
    official.fetch(tmp_path / "landing")
    (file,) = landing.list_files(tmp_path / "landing")
    assert file.path.read_bytes() == publisher.body


def test_an_official_page_instead_of_a_file_is_refused_and_lands_nothing(
    official: HttpSource, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.body = b"<html><body>We have moved</body></html>"
    with pytest.raises(VigieError, match="is not in a known layout"):
        official.fetch(tmp_path / "landing")
    assert not (tmp_path / "landing").exists()
