"""Packs what a helper needs to find a fault: findings, versions, settings, states and logs.

Secrets and calls stay out: of a log line only known fields are kept, of a traceback its places in the code, and no file
of the home but logs is read."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.cli.local_platform.supervisor import Supervisor
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT

LOG_BYTES = 200_000
"""Maximum length read from the end of each log."""
_SECRET_NAME = re.compile(r"TOKEN|PASSWORD|SECRET|KEY|CREDENTIAL", re.IGNORECASE)
_FIELDS = (
    "timestamp", "level", "service", "event", "use_case", "stage", "step", "state", "method", "status", "seconds",
    "milliseconds", "attempt", "published", "replica",
)  # fmt: skip
"""Fields of structured log lines that are kept; all others may hold what a caller sent."""
_LOGGED = re.compile(r"""\.(?:debug|info|warning|error|exception)\(\s*"([^"{]+)\"""")
"""An event's constant text in the code: texts that stand nowhere there may hold a caller's words."""
_NAME = re.compile(r"^[A-Za-z0-9_.:+-]{1,40}$")
_PLACE = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>[\w<>.]+)')
_EXCEPTION = re.compile(r"^(?P<type>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning))\b")


def write_bundle(home: VigiePaths, file: Path, findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write the archive, readable by this user only; return the names of its parts."""
    parts = {
        "doctor.json": _json(findings),
        "versions.json": _json(_versions()),
        "settings.json": _json(_settings(CHECKOUT / ".env")),
        "services.json": _json(_states(home)),
        "home.json": _json(_content(home)),
        **{f"logs/{path.name}": _log(path) for path in sorted(home.logs.glob("*.log"))},
        **{f"logs/runs/{path.name}": _log(path) for path in sorted(home.logs.glob("runs/*.log"))},
    }
    secrets = _secret_values(home)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name, text in parts.items():
                content = _without(secrets, text).encode()
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o600
                archive.addfile(member, io.BytesIO(content))
    return list(parts)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"


def _versions() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--tags"],
        capture_output=True, text=True, check=False, timeout=10,
    ) if (CHECKOUT / ".git").exists() else None  # fmt: skip
    return {
        "vigie": commit.stdout.strip() if commit is not None else "",
        "python": sys.version,
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "packages": {item.name: item.version for item in sorted(metadata.distributions(), key=lambda item: item.name)},
    }


def _settings(env_file: Path) -> dict[str, str]:
    """Names of the VIGIE variables with their values, of secrets whether they are set, of addresses the host alone."""
    lines = env_file.read_text(encoding="utf-8").splitlines() if os.access(env_file, os.R_OK) else []
    pairs = dict(line.partition("=")[::2] for line in lines if not line.startswith("#"))
    values = {name: value for name, value in (pairs | dict(os.environ)).items() if name.startswith("VIGIE_")}
    return {name: _shown_setting(name, value) for name, value in sorted(values.items())}


def _shown_setting(name: str, value: str) -> str:
    if _SECRET_NAME.search(name):
        return "set" if value else "empty"
    if "://" in value:
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    return value


def _states(home: VigiePaths) -> list[dict[str, Any]]:
    return [
        {"service": state.name, "state": state.status, "exit": state.exit_status, "port": state.port}
        for state in Supervisor(home).states()
    ]


def _content(home: VigiePaths) -> dict[str, Any]:
    """Sizes of the home's folders, published states and counts of tables; no content and no name of a file."""
    folders = {
        entry.name: {
            "files": sum(len(files) for _, _, files in os.walk(entry)),
            "bytes": sum(path.lstat().st_size for path in entry.rglob("*") if path.is_file()),
        }
        for entry in (sorted(home.root.iterdir()) if home.root.is_dir() else [])
        if entry.is_dir()
    }
    published = sorted(path.name for path in (home.root / "current").glob("*"))
    return {"folders": folders, "published": published, "rows": _rows(home.database)}


def _rows(database: Path) -> dict[str, Any]:
    """Row counts of each table and the schema's revisions."""
    if not database.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows: dict[str, Any] = {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - its own names
                for name in names
            }
            if "alembic_version" in names:
                rows["alembic_version"] = [row[0] for row in connection.execute("SELECT * FROM alembic_version")]
    except sqlite3.Error as error:
        return {"error": type(error).__name__}
    return rows


def _log(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - LOG_BYTES))
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    return "".join(f"{line}\n" for line in kept_lines(lines))


def kept_lines(lines: Iterable[str]) -> list[str]:
    """What may leave of a log: known fields of structured lines, places and types of tracebacks. Other lines are
    counted."""
    kept: list[str] = []
    left_out = 0
    for line in lines:
        shown = _kept_line(line)
        if shown is None:
            left_out += 1
            continue
        if left_out:
            kept.append(f"({left_out} lines left out)")
            left_out = 0
        kept.append(shown)
    return kept + ([f"({left_out} lines left out)"] if left_out else [])


def _kept_line(line: str) -> str | None:
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except ValueError:
            return None
        return json.dumps(_kept_fields(entry))
    if place := _PLACE.match(line):
        return f'  File "{_short(place["file"])}", line {place["line"]}, in {place["function"]}'
    if found := _EXCEPTION.match(line):
        return found["type"]
    return None


def _kept_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name in _FIELDS:
        value = entry.get(name)
        if name == "event":
            kept[name] = value if value in _known_events() else "(left out)"
        elif isinstance(value, (int, float)) or (isinstance(value, str) and _NAME.match(value)):
            kept[name] = value
    if isinstance(entry.get("exception"), list):
        kept["exception"] = [
            {
                "type": item.get("exc_type", ""),
                "frames": [
                    f"{_short(frame.get('filename', ''))}:{frame.get('lineno', 0)} {frame.get('name', '')}"
                    for frame in item.get("frames", [])
                ],
            }
            for item in entry["exception"]
        ]
    return kept


@lru_cache(maxsize=1)
def _known_events() -> frozenset[str]:
    files = (path.read_text(encoding="utf-8") for path in (CHECKOUT / "services").rglob("*.py"))
    return frozenset(text for content in files for text in _LOGGED.findall(content))


def _short(file: str) -> str:
    return file.rpartition("site-packages/")[2].replace(str(CHECKOUT), "").lstrip("/")


def _secret_values(home: VigiePaths) -> set[str]:
    """Every secret of this home and this environment, to be blanked wherever it may stand."""
    found = {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    for file in (home.root / "secrets.env", CHECKOUT / ".env"):
        if os.access(file, os.R_OK):
            pairs = (line.partition("=") for line in file.read_text(encoding="utf-8").splitlines())
            found |= {value for name, _, value in pairs if _SECRET_NAME.search(name)}
    found |= {password for value in os.environ.values() if "://" in value and (password := _password_in(value))}
    return {value for value in found if len(value) >= 6}


def _password_in(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "(secret)")
    return text
