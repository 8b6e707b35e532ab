"""A real PostgreSQL for tests: a server of its own on a free port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

PROGRAMS = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs; None where none is installed."""
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    at = shutil.which("initdb")
    return None if at is None else Path(at).parent


@contextmanager
def server() -> Iterator[str]:
    """Yields the server's address up to the database's name: ``postgresql+psycopg://…/``. What it holds
    is kept in memory-like haste: nothing waits for the disk."""
    bin_folder = programs()
    assert bin_folder is not None, "PostgreSQL is not installed"
    folder = Path(tempfile.mkdtemp(prefix="vigie-postgres-"))
    data = folder / "data"
    as_user = _unprivileged(folder)
    try:
        start = [str(bin_folder / "initdb"), "-D", str(data), "-U", "vigie", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(start, check=True, capture_output=True, **as_user)
        port = free_port()
        options = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")
        settings = [part for option in options for part in ("-c", option)]
        command = [str(bin_folder / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*command, *settings], stdout=log, stderr=log, **as_user)
        try:
            _wait(port, process, folder / "log")
            yield f"postgresql+psycopg://vigie@127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(address: str) -> Iterator[str]:
    """An empty database on ``address``; yields its SQLAlchemy address."""
    name = f"t{uuid.uuid4().hex[:12]}"
    plain = address.replace("+psycopg", "")
    with psycopg.connect(f"{plain}postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield address + name
    finally:
        with psycopg.connect(f"{plain}postgres", autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _unprivileged(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, user.pw_uid, user.pw_gid)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}
    raise AssertionError("PostgreSQL does not run as root, and there is no other user")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(f"postgresql://vigie@127.0.0.1:{port}/postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}") from None
        time.sleep(0.05)
