"""The real platform in Docker Compose, for tests: a project of its own, a free port, secrets of its own, torn
down whatever happens."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.core.settings import CHECKOUT

PROFILES = ("core", "orchestration", "monitoring")
"""Grafana's image is left out: not every machine that runs the tests can get it, and nothing depends on it."""
UP_SECONDS = 600
BUILD_SECONDS = 1_500
KEEP, LOGS = "VIGIE_E2E_KEEP", "VIGIE_E2E_LOGS"
"""Environment variables: leave the stack running at the end; folder for its logs when a test fails."""


@dataclass(frozen=True)
class Stack:
    project: str
    settings_file: Path
    port: int
    profiles: Sequence[str] = PROFILES
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Variables that win over the settings file."""

    @property
    def address(self) -> str:
        """The edge's address."""
        return f"http://127.0.0.1:{self.port}"

    def setting(self, name: str) -> str:
        """A value of the settings file."""
        found = re.search(rf"^{name}=(.*)$", self.settings_file.read_text(), flags=re.MULTILINE)
        assert found, f"{name} is not set in {self.settings_file}"
        return found[1]

    @property
    def admin_password(self) -> str:
        return self.setting("VIGIE_GATEWAY_ADMIN_PASSWORD")

    # --- running Compose ------------------------------------------------------------------------------------

    def compose(
        self, *arguments: str, timeout: float = 120, check: bool = True, given: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """``docker compose ARGUMENTS``; what it printed is in the error if it fails."""
        line = [
            "docker",
            "compose",
            "--ansi",
            "never",
            "--project-name",
            self.project,
            "--env-file",
            str(self.settings_file),
        ]
        line += ["--file", str(CHECKOUT / "docker-compose.yml"), "--project-directory", str(CHECKOUT), *arguments]
        done = subprocess.run(
            line, env=self._environment(), check=False, capture_output=True, input=given, timeout=timeout
        )
        if check and done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise AssertionError(f"docker compose {' '.join(arguments)} ended with {done.returncode}:\n{said[-6_000:]}")
        return done

    def _environment(self) -> dict[str, str]:
        """This process's, without what is set for another platform."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("VIGIE_", "COMPOSE_"))}
        # one image at a time: two cores are not made for more
        compose = {"COMPOSE_PROFILES": ",".join(self.profiles), "COMPOSE_PARALLEL_LIMIT": "1", "DOCKER_BUILDKIT": "1"}
        return inherited | compose | dict(self.overrides)

    def build(self) -> None:
        self.compose("build", timeout=BUILD_SECONDS)

    def up(self, *arguments: str, timeout: float = UP_SECONDS) -> float:
        """``up -d --wait``: returns when everything is healthy; seconds it took."""
        started = time.monotonic()
        self.compose("up", "-d", "--wait", "--wait-timeout", str(round(timeout)), *arguments, timeout=timeout + 60)
        return time.monotonic() - started

    def down(self, *arguments: str) -> None:
        self.compose("down", "--remove-orphans", *arguments, timeout=180)

    def run_in(self, service: str, *command: str, given: bytes | None = None, timeout: float = 120) -> str:
        """Run a command in a running container of ``service``; its standard output."""
        return self.compose("exec", "-T", service, *command, given=given, timeout=timeout).stdout.decode()

    def query(self, database: str, sql: str) -> list[str]:
        """The lines that PostgreSQL answers, asked in its container as its own administrator."""
        return self.run_in("postgres", "psql", "-U", "postgres", "-d", database, "-tAc", sql).splitlines()

    def predictions_of(self, container: str) -> int:
        """How many rows one replica of prediction has answered since it started."""
        script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8500/metrics').read().decode())"
        figures = _docker("exec", container, "python", "-S", "-c", script)
        lines = [line for line in figures.splitlines() if line.startswith("vigie_predictions_total{")]
        return sum(int(float(line.rpartition(" ")[2])) for line in lines)

    def put(self, service: str, path: str, content: bytes) -> None:
        """Write a file in a container as its own user; folders are made. Read-only file systems refuse."""
        self.run_in(service, "sh", "-c", 'mkdir -p "$(dirname "$0")" && cat > "$0"', path, given=content)

    def containers(self, service: str) -> list[str]:
        """Ids of the containers of ``service`` that run."""
        return self.compose("ps", "--quiet", service).stdout.decode().split()

    def kill(self, service: str, *, start_again: bool = False) -> None:
        """SIGKILL to every container of ``service``. The engine leaves what was killed by hand stopped."""
        self.compose("kill", service)
        if start_again:
            self.compose("start", service)

    def states(self) -> dict[str, str]:
        """Service -> healthy, unhealthy, starting, running or ``exited CODE``; the worst of its containers."""
        found: dict[str, str] = {}
        for container in self._listed():
            state = container["Health"] or container["State"]
            if container["State"] == "exited":
                state = f"exited {container['ExitCode']}"
            if found.get(container["Service"], "healthy") == "healthy":
                found[container["Service"]] = state
        return found

    def published(self) -> dict[str, str]:
        """Service -> the address of the host that leads to it."""
        return {
            container["Service"]: f"{port['URL']}:{port['PublishedPort']}"
            for container in self._listed()
            for port in container["Publishers"] or ()
            if port["PublishedPort"]
        }

    def _listed(self) -> list[dict[str, Any]]:
        printed = self.compose("ps", "--all", "--format", "json").stdout.decode()
        return [json.loads(line) for line in printed.splitlines() if line.strip()]

    def restart_container(self, container: str) -> None:
        """As a rolling update does it: stop with grace, start, wait until it is healthy."""
        _docker("restart", container)
        self._wait_healthy(container)

    def kill_container(self, container: str) -> None:
        _docker("kill", container)

    def start_container(self, container: str) -> None:
        _docker("start", container)
        self._wait_healthy(container)

    def _wait_healthy(self, container: str, seconds: float = 120) -> None:
        end, state = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            state = _docker("inspect", "--format", "{{.State.Health.Status}}", container)
            if state == "healthy":
                return
            time.sleep(0.5)
        raise AssertionError(f"{container} is {state} after {seconds:.0f} s")

    def logs(self, *services: str) -> str:
        done = self.compose("logs", "--no-color", "--timestamps", *services, check=False)
        return (done.stdout + done.stderr).decode(errors="replace")

    def keep_logs(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        states = self.compose("ps", "--all", check=False).stdout.decode(errors="replace")
        file = folder / f"{self.project}.log"
        file.write_text(f"{states}\n{self.logs()}")
        return file


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=120)
    return done.stdout.strip()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def make_stack(folder: Path, *, profiles: Sequence[str] = PROFILES, **overrides: str) -> Stack:
    """A stack with settings by ``./vigie init`` in ``folder``; nothing is started."""
    port, file = free_port(), folder / "stack.env"
    line = [sys.executable, "-m", "services.cli", "init", "--file", str(file), "--port", str(port)]
    subprocess.run(line, cwd=CHECKOUT, check=True, capture_output=True, timeout=60)
    return Stack(f"vigie-e2e-{secrets.token_hex(3)}", file, port, profiles, overrides)


@dataclass(frozen=True)
class StartingStack:
    stack: Stack
    logs: Path
    start: Future[float]

    def healthy(self) -> Stack:
        """The stack, once everything is healthy. Where it does not become so, its logs are kept in ``logs`` or the
        folder that ``VIGIE_E2E_LOGS`` names."""
        try:
            self.start.result()
        except BaseException:
            file = self.stack.keep_logs(Path(os.environ.get(LOGS) or self.logs))
            sys.stderr.write(f"logs of {self.stack.project}: {file}\n")
            raise
        return self.stack


@contextmanager
def starting(stack: Stack, logs: Path, *, keep: bool = False) -> Iterator[StartingStack]:
    """The stack, which starts beside the block; torn down at its end unless ``keep`` or ``VIGIE_E2E_KEEP``."""
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(stack.up)
        try:
            yield StartingStack(stack, logs, start)
        finally:
            wait([start])
            if not keep and not os.environ.get(KEEP):
                stack.down("--volumes", "--timeout", "10")
