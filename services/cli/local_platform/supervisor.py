"""Local processes under supervisord: restarted when they die, logs rotated, stopped as a group. One supervisor for
each home, so that two homes run side by side.
"""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from services.core.errors import VigieError
from services.core.paths import VigiePaths

HOME_MARK = "VIGIE_PROCESS_OF"
"""Stands in the environment of every process of a home and of all that they start, so that none is forgotten."""
_RUN_WITH_ENVIRONMENT = ("/bin/sh", "-c", 'set -a; . "$0"; set +a; exec "$@"')
"""Secrets come from a private file: on a command line and in supervisord's configuration they would show."""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A process to keep running, or with ``once`` one that ends. ``health`` is the address that answers 200
    when it is ready (``health_password`` names the secret that it asks for); where it listens nowhere, ``check``
    is the command that ends with 0. It is started when the programs ``after`` are ready or have ended."""

    name: str
    command: Sequence[str]
    port: int = 0
    health: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    check: Sequence[str] = ()
    health_user: str = ""
    health_password: str = ""
    page: str = ""
    """Path of what people open."""
    after: Sequence[str] = ()
    once: bool = False
    grace: int = 15
    """Seconds to end after SIGTERM, before its whole process group is killed."""

    def kept(self) -> dict[str, Any]:
        """What has to be known of it later on; no secret."""
        return {
            "port": self.port,
            "health": self.health,
            "check": list(self.check),
            "health_user": self.health_user,
            "health_password": self.health_password,
            "page": self.page,
            "after": list(self.after),
            "once": self.once,
        }


@dataclass(frozen=True, slots=True)
class ServiceState:
    name: str
    status: str
    """supervisord's word: STOPPED, STARTING, RUNNING, BACKOFF, EXITED, FATAL …"""
    exit_status: int
    description: str
    pid: int
    port: int
    health: str
    check: tuple[str, ...]
    health_user: str
    health_password: str
    page: str
    after: tuple[str, ...]
    once: bool

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}" if self.port else ""

    @property
    def running(self) -> bool:
        return self.status in {"STARTING", "RUNNING"}

    @property
    def done(self) -> bool:
        """A program that runs once has ended well."""
        return self.once and self.status == "EXITED" and self.exit_status == 0

    @property
    def failed(self) -> bool:
        return self.status == "FATAL" or (self.once and self.status == "EXITED" and self.exit_status != 0)


@dataclass(frozen=True, slots=True)
class Supervisor:
    home: VigiePaths

    @classmethod
    def of(cls, root: Path) -> Supervisor:
        return cls(VigiePaths(root))

    @property
    def _configuration(self) -> Path:
        return self.home.processes / "supervisord.conf"

    @property
    def _programs(self) -> Path:
        return self.home.processes / "programs.json"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(str(self.home.root).encode()).hexdigest()[:16]

    @property
    def _socket(self) -> Path:
        # A socket's path may have 107 bytes; a home's path may be longer.
        return Path(tempfile.gettempdir()) / f"vigie-{os.getuid()}-{self._digest}.sock"

    @contextlib.contextmanager
    def _supervisor(self) -> Iterator[Any]:
        """The supervisor's API over its socket."""
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            yield proxy.supervisor

    def pid(self) -> int | None:
        """The supervisor of this home, if it is alive."""
        try:
            pid = int((self.home.processes / "supervisord.pid").read_text())
            command = psutil.Process(pid).cmdline()
        except (OSError, ValueError, psutil.Error):
            return None
        return pid if str(self._configuration) in command else None

    def owns(self, port: int) -> bool:
        return self.pid() is not None and any(item["port"] == port for item in self._read_programs().values())

    def start(self, programs: Sequence[ServiceSpec]) -> None:
        """Write the configuration and start the supervisor; ``begin`` then starts the programs. What a
        supervisor that was killed left running is ended first."""
        for folder in (self.home.processes, self.home.logs):
            folder.mkdir(parents=True, exist_ok=True)
        _terminate(self.orphans(), patience=5)
        self._write(programs)
        self._programs.write_text(json.dumps({program.name: program.kept() for program in programs}, indent=2))
        done = subprocess.run(
            [str(Path(sys.executable).with_name("supervisord")), "-c", str(self._configuration)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise VigieError(
                f"The processes could not be started: {(done.stderr or done.stdout).strip()[-500:]}",
                action=f"Look into {self.home.logs}.",
            )
        wait_until(self._listens, seconds=60)  # at once, on a machine that is not busy

    def _listens(self) -> bool:
        try:
            with self._supervisor() as supervisor:
                supervisor.getState()
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def begin(self, name: str) -> None:
        """Start a program that does not run. Its supervisor's word for one that cannot start comes with
        ``states``."""
        with self._supervisor() as supervisor, contextlib.suppress(xmlrpc.client.Fault):
            supervisor.startProcess(name, False)

    def stop(self, *, patience: float = 60.0) -> bool:
        """Stop all programs, the supervisor and everything they started; whether there was anything to
        stop. What ignores its signal is killed."""
        pid = self.pid()
        if pid is None:
            return _terminate(self.orphans(), patience=10) > 0
        process = psutil.Process(pid)
        family = {process, *process.children(recursive=True), *self.orphans()}
        try:
            with self._supervisor() as supervisor:
                supervisor.stopAllProcesses(False)  # at once: a shutdown alone takes one after the other
                wait_until(lambda: not self._moving(), seconds=patience)
                supervisor.shutdown()
        except (OSError, xmlrpc.client.Error):
            process.terminate()
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(10)
        _, alive = psutil.wait_procs(family, timeout=2)
        _kill([*alive, *self.orphans()])
        return True

    def _moving(self) -> bool:
        return any(state.status in {"STARTING", "RUNNING", "BACKOFF", "STOPPING"} for state in self.states())

    def orphans(self) -> list[psutil.Process]:
        """Every process that carries this home's mark, whoever its parent is now."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(HOME_MARK) == self._digest:
                    found.append(process)
        return found

    def states(self) -> list[ServiceState]:
        programs = self._read_programs()
        known: dict[str, Any] = {}
        if self.pid() is not None:
            with self._supervisor() as supervisor:
                known = {info["name"]: info for info in supervisor.getAllProcessInfo()}
        states = []
        for name, item in programs.items():
            info = known.get(name, {})
            states.append(
                ServiceState(
                    name=name,
                    status=info.get("statename", "STOPPED"),
                    exit_status=info.get("exitstatus", 0),
                    description=info.get("description", "stopped"),
                    pid=info.get("pid", 0),
                    **{**item, "check": tuple(item["check"]), "after": tuple(item["after"])},
                )
            )
        return states

    def with_environment(self, name: str, command: Sequence[str]) -> list[str]:
        """``command`` as run with the environment of the program ``name``."""
        return [*_RUN_WITH_ENVIRONMENT, str(self._environment(name)), *command]

    def log(self, name: str) -> Path:
        return self.home.logs / f"{name}.log"

    def _environment(self, name: str) -> Path:
        return self.home.processes / f"{name}.env"

    def _read_programs(self) -> dict[str, Any]:
        try:
            programs: dict[str, Any] = json.loads(self._programs.read_text())
        except (OSError, ValueError):
            return {}
        return programs

    def _write(self, programs: Sequence[ServiceSpec]) -> None:
        configuration = configparser.RawConfigParser()
        configuration["unix_http_server"] = {"file": str(self._socket), "chmod": "0700"}
        configuration["supervisord"] = {
            "logfile": str(self.home.logs / "supervisord.log"),
            "pidfile": str(self.home.processes / "supervisord.pid"),
            "childlogdir": str(self.home.logs),
            "silent": "true",
            **({"user": "root"} if os.getuid() == 0 else {}),
        }
        configuration["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        for program in programs:
            self._write_environment(program)
            command = self.with_environment(program.name, program.command)
            configuration[f"program:{program.name}"] = {
                "command": shlex.join(command).replace("%", "%%"),
                "autostart": "false",
                "autorestart": "false" if program.once else "true",
                "startsecs": "0" if program.once else "1",
                "startretries": "5",
                "stopasgroup": "true",
                "killasgroup": "true",
                "stopwaitsecs": str(program.grace),
                "redirect_stderr": "true",
                "stdout_logfile": str(self.log(program.name)),
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": "3",
            }
        with self._configuration.open("w") as stream:
            configuration.write(stream)

    def _write_environment(self, program: ServiceSpec) -> None:
        file = self._environment(program.name)
        file.unlink(missing_ok=True)
        values = {**program.environment, HOME_MARK: self._digest}
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.writelines(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _terminate(processes: Sequence[psutil.Process], *, patience: float) -> int:
    """Ask processes to end, kill those that do not; how many there were."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience)
    _kill(alive)
    return len(processes)


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.2) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(every)
    return False
