"""Debian's Prometheus and Alertmanager, for tests: found where they are installed, run on free ports."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}


def program(name: str) -> str:
    """Where the program is; the test is skipped, with what to install, where it is not."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install --no-install-recommends {PACKAGES[name]}")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(
    line: Sequence[str], ready: str, *, log: Path, environment: Mapping[str, str] | None = None, seconds: float = 120
) -> Iterator[None]:
    """Run a program until the end of the block; it is ready when ``ready`` answers 200."""
    with log.open("wb") as stream:
        process = subprocess.Popen(line, stdout=stream, stderr=subprocess.STDOUT, env=environment)
        try:
            until = time.monotonic() + seconds
            while not _answers(ready):
                assert process.poll() is None, f"{line[0]} ended:\n{log.read_text()[-3_000:]}"
                assert time.monotonic() < until, f"{line[0]} was not ready in time:\n{log.read_text()[-3_000:]}"
                time.sleep(0.05)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
