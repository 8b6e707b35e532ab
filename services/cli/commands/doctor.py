"""``./vigie doctor``: checks whether this machine meets the requirements, and says how to fix what does not.

It fails for what the platform needs alone; the rest is advice."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.markup import escape
from rich.table import Table

from services.cli.commands.init import find_changes
from services.cli.console import out
from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT, Settings, settings

_GIB = 1024**3
AIRFLOW = "airflow"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check, with the action that fixes a failure."""

    what: str
    good: bool
    found: str
    action: str = ""
    needed: bool = True
    """Whether the platform of this home does not work without it."""

    @property
    def mark(self) -> str:
        return "[green]✓[/]" if self.good else "[red]✗[/]" if self.needed else "[yellow]![/]"


def doctor(
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="Also pack findings, versions, settings and logs for a helper into FILE (.tar.gz), without secrets or "
            "calls.",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Check Python, packages, disk, memory, ports, secrets and Docker, and say what to do."""
    findings = run_checks(settings())
    table = Table("check", "found", "what to do", box=None, pad_edge=False)
    for finding in findings:
        action = "" if finding.good else finding.action if finding.needed else f"(not needed) {finding.action}"
        table.add_row(f"{finding.mark} {finding.what}", escape(finding.found), escape(action))
    out.print(table)
    if bundle is not None:
        from services.cli.local_platform.support_bundle import write_bundle  # noqa: PLC0415 - rarely needed

        listed = write_bundle(settings().home, bundle, [asdict(finding) for finding in findings])
        out.print(f"\n{bundle} holds {', '.join(listed)}; look into it before you send it.", markup=False)
    if not all(finding.good for finding in findings if finding.needed):
        raise typer.Exit(1)


def run_checks(chosen: Settings) -> list[CheckResult]:
    from services.cli.local_platform.ports import Ports  # noqa: PLC0415 - its libraries are not needed for help

    home = chosen.home.root
    return [
        _check_python(),
        check_lock(CHECKOUT / "requirements" / "lock.txt"),
        _check_home(home),
        _check_disk(home),
        _check_memory(),
        check_private_file("secrets", home / "secrets.env"),
        check_private_file("Compose's secrets", CHECKOUT / ".env"),
        *check_settings_file(CHECKOUT / ".env"),
        *(check_port(part, number, home) for part, number in Ports().wanted().items()),
        check_docker(),
        *check_use_cases(),
        *check_registry(chosen.home),
    ]


def _check_python() -> CheckResult:
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return CheckResult(
        "Python",
        good,
        f"{platform.python_version()} ({sys.executable})",
        "install Python 3.11 to 3.13, run ./vigie again",
    )


def check_lock(path: Path) -> CheckResult:
    """Compare the installed packages with the lock file."""
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
    return CheckResult("packages", not wrong, found, "remove .venv and run ./vigie again")


def _applies(marker: str) -> bool:
    from packaging.markers import Marker  # noqa: PLC0415 - only if there is a marker to evaluate

    return Marker(marker).evaluate()


def _check_home(home: Path) -> CheckResult:
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".doctor"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        return CheckResult(
            "home", False, f"{home}: {error.strerror}", "set VIGIE_HOME to a folder that you may write to"
        )
    if home.stat().st_mode & 0o077:
        return CheckResult("home", False, f"{home} can be read by others", f"run: chmod 700 {home}")
    return CheckResult("home", True, str(home))


def _check_disk(home: Path) -> CheckResult:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    return CheckResult(
        "disk",
        free >= 4 * _GIB,
        f"{free / _GIB:.1f} GiB free",
        "make 4 GiB free, or set VIGIE_HOME to another disk",
        needed=free < _GIB,
    )


def _check_memory() -> CheckResult:
    available = psutil.virtual_memory().available
    return CheckResult(
        "memory",
        available >= 4 * _GIB,
        f"{available / _GIB:.1f} GiB available",
        "end other programs, or use ./vigie up --without airflow: the whole platform takes about 3 GiB while it trains",
        needed=available < 1.5 * _GIB,
    )


def check_private_file(what: str, file: Path) -> CheckResult:
    """Check a file of secrets: generated at the first start and readable by this user only."""
    if not file.exists():
        return CheckResult(what, True, "none yet; the first start makes them")
    good = file.stat().st_mode & 0o077 == 0
    return CheckResult(what, good, f"{file}{'' if good else ' can be read by others'}", f"run: chmod 600 {file}")


def check_settings_file(file: Path) -> list[CheckResult]:
    """Check that the settings file of Compose has all secrets, each service's own credential among them."""
    if not file.is_file():
        return []
    missing = sorted(find_changes(file.read_text()))
    found = "complete" if not missing else f"{file} misses or has old {', '.join(missing)}"
    return [CheckResult("Compose's settings", not missing, found, "run: ./vigie init --complete", needed=False)]


def check_docker() -> CheckResult:
    """Check whether Compose is available; ``./vigie up`` needs no Docker."""
    try:
        done = subprocess.run(
            ["docker", "compose", "version", "--short"], capture_output=True, text=True, check=False, timeout=10
        )
        engine = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=10)
    except FileNotFoundError:
        return CheckResult("Docker", True, "not installed; needed for Docker Compose alone, not for ./vigie up")
    except subprocess.TimeoutExpired:
        return CheckResult("Docker", False, "does not answer", "restart the Docker engine", needed=False)
    version = done.stdout.strip().removeprefix("v")
    if done.returncode != 0 or version.startswith("1."):
        return CheckResult(
            "Docker", False, f"Compose {version or 'is missing'}", "install Compose v2 for Docker Compose", needed=False
        )
    if engine.returncode != 0:
        return CheckResult("Docker", True, f"Compose {version}; no engine runs, ./vigie up needs none")
    return CheckResult("Docker", True, f"Compose {version}, engine runs")


def check_use_cases() -> list[CheckResult]:
    """List usable use cases, and the broken ones that are skipped."""
    good = CheckResult("use cases", True, ", ".join(use_case_registry.names()))
    return [good, *(_skipped_use_case(skipped) for skipped in use_case_registry.skipped())]


def _skipped_use_case(skipped: use_case_registry.SkippedUseCase) -> CheckResult:
    reason = skipped.reason
    found = f"left out: {reason.problem} ({skipped.package}, from {skipped.origin})"
    return CheckResult(f"use case {skipped.name}", False, found, reason.action or f"expected: {reason.expected}")


def check_registry(home: VigiePaths) -> list[CheckResult]:
    """Check the embedded registry: bundles that were lost, and what was changed by hand in MLflow."""
    from services.core.model_registry.sqlite_backend import find_faults  # noqa: PLC0415 - not needed by every command

    try:
        faults = find_faults(home)
    except VigieError as error:
        return [CheckResult("registry", False, error.problem, error.action)]
    if not faults:
        return [CheckResult("registry", True, "every version has its bundle")]
    return [CheckResult(f"registry {fault.use_case}", False, fault.found, fault.action) for fault in faults]


def check_port(service: str, number: int, home: Path) -> CheckResult:
    """Check that the port is free or used by this home's platform."""
    from services.cli.local_platform.ports import is_free, port_holder  # noqa: PLC0415 - not needed for help
    from services.cli.local_platform.supervisor import Supervisor  # noqa: PLC0415 - supervisor's client is not needed elsewhere here

    if Supervisor.of(home).owns(number):
        return CheckResult(f"port {number}", True, f"{service} of this home is running")
    if not is_free(number):
        action = f"end it, or set VIGIE_{service.upper()}_PORT to a free port"
        needed = service != AIRFLOW  # ./vigie up --without airflow
        return CheckResult(f"port {number}", False, f"taken by {port_holder(number)}", action, needed=needed)
    return CheckResult(f"port {number}", True, f"free for {service}")
