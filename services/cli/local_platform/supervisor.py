"""Runs local processes under supervisord: restart on exit, log rotation, stop as a group. One supervisor per home, so
that two homes can run in parallel.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from services.core.errors import VigieError
from services.core.paths import VigiePaths

if TYPE_CHECKING:
    from services.cli.local_platform.service_specs import ServiceSpec

HOME_MARK = "VIGIE_PROCESS_OF"
"""Environment variable of all processes of a home and their descendants, by which ``stop`` finds every one."""
_RUN_WITH_ENVIRONMENT = ("/bin/sh", "-c", 'set -a; . "$0"; set +a; exec "$@"')
"""Secrets are read from a private file: command lines and supervisord's configuration would expose them."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    name: str
    status: str
    """supervisord's process state: STOPPED, STARTING, RUNNING, BACKOFF, EXITED, FATAL …"""
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
        """Whether a ``once`` process has succeeded."""
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
        # A socket path is limited to 107 bytes; a home's path can be longer.
        return Path(tempfile.gettempdir()) / f"vigie-{os.getuid()}-{self._digest}.sock"

    @contextlib.contextmanager
    def _supervisor(self) -> Iterator[Any]:
        """Client of supervisord's API over its socket."""
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            yield proxy.supervisor

    def pid(self) -> int | None:
        """Process id of this home's supervisor, if it is running."""
        try:
            pid = int((self.home.processes / "supervisord.pid").read_text())
            command = psutil.Process(pid).cmdline()
        except (OSError, ValueError, psutil.Error):
            return None
        return pid if str(self._configuration) in command else None

    def owns(self, port: int) -> bool:
        return self.pid() is not None and any(item["port"] == port for item in self._read_programs().values())

    def start(self, programs: Sequence[ServiceSpec]) -> None:
        """Write the configuration and start the supervisor; ``begin`` then starts the services. Processes left behind
        by a killed supervisor are terminated first."""
        for folder in (self.home.processes, self.home.logs):
            folder.mkdir(parents=True, exist_ok=True)
        _terminate(self.orphans(), patience=5)
        self._write(programs)
        self._programs.write_text(json.dumps({program.name: program.kept() for program in programs}, indent=2))
        done = subprocess.run(
            [str(Path(sys.executable).with_name("supervisord")), "-c", str(self._configuration)],
            cwd=self.home.root,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise VigieError(
                f"The processes could not be started: {(done.stderr or done.stdout).strip()[-500:]}",
                action=f"Look into {self.home.logs}.",
            )
        wait_until(self._listens, seconds=60)  # immediate unless the machine is busy

    def _listens(self) -> bool:
        try:
            with self._supervisor() as supervisor:
                supervisor.getState()
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def begin(self, name: str) -> None:
        """Start a service that is not running. A failed start is reported by
        ``states``."""
        with self._supervisor() as supervisor, contextlib.suppress(xmlrpc.client.Fault):
            supervisor.startProcess(name, False)

    def stop(self, *, patience: float = 60.0) -> bool:
        """Stop all services, the supervisor and their descendants; returns whether anything was running. Processes that
        ignore SIGTERM are killed."""
        pid = self.pid()
        if pid is None:
            return _terminate(self.orphans(), patience=10) > 0
        process = psutil.Process(pid)
        family = {process, *process.children(recursive=True), *self.orphans()}
        try:
            with self._supervisor() as supervisor:
                supervisor.stopAllProcesses(False)  # in parallel: a shutdown alone is sequential
                if not wait_until(lambda: not self._moving(), seconds=patience):
                    _kill([member for member in family if member != process])
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
        """Every process with this home's environment variable, whoever its parent is."""
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
        """``command`` wrapped to run with the environment of service ``name``."""
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
        """Paths are relative to the home: the configuration cannot hold every name (``#``, ``;``, ``%``)."""
        configuration = configparser.RawConfigParser()
        configuration["unix_http_server"] = {"file": str(self._socket), "chmod": "0700"}
        configuration["supervisord"] = {
            "logfile": "logs/supervisord.log",
            "pidfile": "run/supervisord.pid",
            "childlogdir": "logs",
            "silent": "true",
            "umask": "077",
            **({"user": "root"} if os.getuid() == 0 else {}),
        }
        configuration["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        for program in programs:
            self._write_environment(program)
            begin = shlex.join(["exec", *self.with_environment(program.name, program.command)])
            script = f"cd {shlex.quote(str(Path.cwd()))}\n{begin}\n"  # .env of the current folder counts
            (self.home.processes / f"{program.name}.start").write_text(script, encoding="utf-8")
            configuration[f"program:{program.name}"] = {
                "command": f"/bin/sh run/{program.name}.start",
                "autostart": "false",
                "autorestart": "false" if program.once else "true",
                "startsecs": "0" if program.once else "1",
                "startretries": "5",
                "stopasgroup": "true",
                "killasgroup": "true",
                "stopwaitsecs": str(program.grace),
                "redirect_stderr": "true",
                "stdout_logfile": f"logs/{program.name}.log",
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": "3",
            }
        with self._configuration.open("w") as stream:
            configuration.write(stream)

    def _write_environment(self, program: ServiceSpec) -> None:
        file = self._environment(program.name)
        file.unlink(missing_ok=True)
        values = {**program.environment, HOME_MARK: self._digest}
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.writelines(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _terminate(processes: Sequence[psutil.Process], *, patience: float) -> int:
    """Terminate processes, kill those that do not end; returns their number."""
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
