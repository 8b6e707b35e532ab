"""``./vigie doctor``: is this machine fit to run Vigie, and what to do if not."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
import typer
from rich.table import Table

from services.cli.console import out
from services.core.settings import CHECKOUT, Settings, settings
from services.core.usecases import registry

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    good: bool
    found: str
    action: str = ""


def doctor() -> None:
    """Check Python, packages, disk, memory, ports, secrets and Docker, and say what to do."""
    findings = examine(settings())
    table = Table("check", "found", "what to do", box=None, pad_edge=False)
    for finding in findings:
        mark = "[green]✓[/]" if finding.good else "[red]✗[/]"
        table.add_row(f"{mark} {finding.what}", finding.found, "" if finding.good else finding.action)
    out.print(table)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def examine(chosen: Settings) -> list[Finding]:
    from services.cli.programs import Ports  # noqa: PLC0415 - supervisor's client is not needed elsewhere here

    home = chosen.home.root
    return [
        _python(),
        lock(CHECKOUT / "requirements" / "lock.txt"),
        _writable(home),
        _disk(home),
        _memory(),
        private("secrets", home / "secrets.env"),
        private("Compose's secrets", CHECKOUT / ".env"),
        *(port(part, number, home) for part, number in Ports().wanted().items()),
        docker(),
        *use_cases(),
    ]


def _python() -> Finding:
    good = sys.version_info[:2] == (3, 11)
    return Finding(
        "Python", good, f"{platform.python_version()} ({sys.executable})", "install Python 3.11 and run ./vigie again"
    )


def lock(path: Path) -> Finding:
    """Is what is installed what the lock names?"""
    wrong = []
    for line in path.read_text().splitlines():
        if "==" not in line or line.startswith(" "):
            continue
        requirement, _, marker = line.rstrip(" \\").partition(" ; ")
        name, _, version = requirement.partition("==")
        if marker and not _applies(marker):
            continue
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "not installed"
        if installed != version:
            wrong.append(f"{name} {installed}, locked {version}")
    found = (
        "as locked" if not wrong else "; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    )
    return Finding("packages", not wrong, found, "remove .venv and run ./vigie again")


def _applies(marker: str) -> bool:
    from packaging.markers import Marker  # noqa: PLC0415 - only where a marker is there to read

    return Marker(marker).evaluate()


def _writable(home: Path) -> Finding:
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".doctor"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        return Finding("home", False, f"{home}: {error.strerror}", "set VIGIE_HOME to a folder that you may write to")
    return Finding("home", True, str(home))


def _disk(home: Path) -> Finding:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    return Finding(
        "disk", free >= 4 * _GIB, f"{free / _GIB:.0f} GiB free", "make 4 GiB free, or set VIGIE_HOME to another disk"
    )


def _memory() -> Finding:
    available = psutil.virtual_memory().available
    return Finding(
        "memory",
        available >= 4 * _GIB,
        f"{available / _GIB:.1f} GiB available",
        "end other programs, or use ./vigie up --without airflow: the whole platform takes about 3 GiB while it trains",
    )


def private(what: str, file: Path) -> Finding:
    """Made at the first start, and nobody else's to read."""
    if not file.exists():
        return Finding(what, True, "none yet; the first start makes them")
    good = file.stat().st_mode & 0o077 == 0
    return Finding(what, good, f"{file}{'' if good else ' can be read by others'}", f"run: chmod 600 {file}")


def docker() -> Finding:
    """Whether Compose could be used; ``./vigie up`` needs no Docker."""
    try:
        done = subprocess.run(
            ["docker", "compose", "version", "--short"], capture_output=True, text=True, check=False, timeout=10
        )
        engine = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=10)
    except FileNotFoundError:
        return Finding("Docker", True, "not installed; needed for Docker Compose alone, not for ./vigie up")
    except subprocess.TimeoutExpired:
        return Finding("Docker", False, "does not answer", "restart the Docker engine")
    version = done.stdout.strip().removeprefix("v")
    if done.returncode != 0 or version.startswith("1."):
        return Finding("Docker", False, f"Compose {version or 'is missing'}", "install Compose v2")
    if engine.returncode != 0:
        return Finding("Docker", True, f"Compose {version}; no engine runs, ./vigie up needs none")
    return Finding("Docker", True, f"Compose {version}, engine runs")


def use_cases() -> list[Finding]:
    """What is there to be used, and what is broken and left out."""
    good = Finding("use cases", True, ", ".join(registry.names()))
    return [good, *(_left_out(skipped) for skipped in registry.skipped())]


def _left_out(skipped: registry.Skipped) -> Finding:
    reason = skipped.reason
    found = f"left out: {reason.problem} ({skipped.package}, from {skipped.origin})"
    return Finding(f"use case {skipped.name}", False, found, reason.action or f"expected: {reason.expected}")


def port(service: str, number: int, home: Path) -> Finding:
    """Free, or taken by this home's own platform."""
    from services.cli.processes import Processes  # noqa: PLC0415 - supervisor's client is not needed elsewhere here

    if Processes.of(home).owns(number):
        return Finding(f"port {number}", True, f"{service} of this home is running")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return Finding(
                f"port {number}", False, "taken by another program", f"set VIGIE_{service.upper()}_PORT to a free port"
            )
    return Finding(f"port {number}", True, f"free for {service}")
