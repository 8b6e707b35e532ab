"""The platform's local processes, kept by supervisord: restarted when they die, logs rotated, stopped
as a group. One supervisord per home, so that two homes run side by side."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from services.core.errors import VigieError
from services.core.home import Home


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep running. ``health`` is the address that answers 200 when it is ready."""

    name: str
    command: Sequence[str]
    port: int
    health: str
    environment: Mapping[str, str] = field(default_factory=dict)
    restart: bool = True


@dataclass(frozen=True, slots=True)
class State:
    name: str
    running: bool
    description: str
    pid: int
    address: str
    health: str


@dataclass(frozen=True, slots=True)
class Processes:
    home: Home

    @classmethod
    def of(cls, root: Path) -> Processes:
        return cls(Home(root))

    @property
    def _configuration(self) -> Path:
        return self.home.processes / "supervisord.conf"

    @property
    def _addresses(self) -> Path:
        return self.home.processes / "addresses.json"

    @property
    def _socket(self) -> Path:
        # A socket's path may have 107 bytes; a home's path may be longer.
        name = hashlib.sha256(str(self.home.root).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"vigie-{os.getuid()}-{name}.sock"

    def _ask(self, method: str) -> Any:
        """Call the supervisor's API over its socket."""
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)()

    def pid(self) -> int | None:
        """The supervisor of this home, if it is alive."""
        try:
            pid = int((self.home.processes / "supervisord.pid").read_text())
            command = psutil.Process(pid).cmdline()
        except (OSError, ValueError, psutil.Error):
            return None
        return pid if str(self._configuration) in command else None

    def owns(self, port: int) -> bool:
        return self.pid() is not None and any(item["port"] == port for item in self._read_addresses().values())

    def start(self, programs: Sequence[Program]) -> None:
        """Write the configuration and start the supervisor, which starts the programs."""
        for folder in (self.home.processes, self.home.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self._write(programs)
        addresses = {
            p.name: {"port": p.port, "url": f"http://127.0.0.1:{p.port}", "health": p.health} for p in programs
        }
        self._addresses.write_text(json.dumps(addresses, indent=2))
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

    def stop(self, *, patience: float = 30.0) -> bool:
        """Stop all programs and the supervisor; whether there was anything to stop."""
        pid = self.pid()
        if pid is None:
            return False
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        try:
            self._ask("shutdown")
        except (OSError, xmlrpc.client.Error):
            process.terminate()
        _, alive = psutil.wait_procs(family, timeout=patience)
        for left in alive:
            left.kill()
        psutil.wait_procs(alive, timeout=5)
        return True

    def states(self) -> list[State]:
        addresses = self._read_addresses()
        known: dict[str, Any] = {}
        if self.pid() is not None:
            known = {info["name"]: info for info in self._ask("getAllProcessInfo")}
        return [
            State(
                name=name,
                running=known.get(name, {}).get("statename") in {"STARTING", "RUNNING"},
                description=known.get(name, {}).get("description", "stopped"),
                pid=known.get(name, {}).get("pid", 0),
                address=item["url"],
                health=item["health"],
            )
            for name, item in addresses.items()
        ]

    def log(self, name: str) -> Path:
        return self.home.logs / f"{name}.log"

    def _read_addresses(self) -> dict[str, Any]:
        try:
            addresses: dict[str, Any] = json.loads(self._addresses.read_text())
        except (OSError, ValueError):
            return {}
        return addresses

    def _write(self, programs: Sequence[Program]) -> None:
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
            configuration[f"program:{program.name}"] = {
                # supervisord's own syntax for variables cannot hold every value; a shell's words can.
                "command": shlex.join(
                    ["env", *(f"{name}={value}" for name, value in program.environment.items()), *program.command]
                ).replace("%", "%%"),
                "autorestart": "true" if program.restart else "false",
                "startsecs": "1",
                "startretries": "5",
                "stopasgroup": "true",
                "killasgroup": "true",
                "stopwaitsecs": "15",
                "redirect_stderr": "true",
                "stdout_logfile": str(self.log(program.name)),
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": "3",
            }
        with self._configuration.open("w") as stream:
            configuration.write(stream)


def wait_until(condition: Any, *, seconds: float, every: float = 0.2) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(every)
    return False
