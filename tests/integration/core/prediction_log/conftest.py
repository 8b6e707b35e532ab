"""A real PostgreSQL of the test's own, which can be stopped and started."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

BINARIES = Path("/usr/lib/postgresql/15/bin")


class Postgres:
    """A cluster below a folder, run by an unprivileged user as PostgreSQL demands."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"postgresql+psycopg://vigie@127.0.0.1:{port}/postgres"

    def make(self) -> None:
        self._run("initdb", "-D", str(self.folder), "-U", "vigie", "--auth=trust", "--no-sync", "-E", "UTF8")
        options = f"port={self.port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories=''\nfsync=off\n"
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(options)

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder), "-w", "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder), "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        user = {"user": "postgres"} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [str(_binaries() / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            check=False,
            **user,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, f"{program} ended with {done.returncode}"


def _binaries() -> Path:
    if BINARIES.is_dir():
        return BINARIES
    found = shutil.which("initdb")
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return Path(found).resolve().parent


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    _binaries()
    # Not below pytest's own folder, which the database's user may not enter.
    folder = Path(f"/tmp/vigie-postgres-{os.getpid()}")  # noqa: S108
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        entry = pwd.getpwnam("postgres")
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Postgres(folder, port)
    try:
        made.make()
        made.start()
        yield made
        made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
