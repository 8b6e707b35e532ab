"""A Docker engine with Compose: the one that is there, else the one that a script starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from services.core.settings import CHECKOUT

SCRIPT = "VIGIE_ENGINE_UP"
"""Environment variable that names the script; it is safe to call where an engine runs already."""


def there() -> bool:
    commands = (["docker", "info"], ["docker", "compose", "version"])
    try:
        done = (subprocess.run(command, check=False, capture_output=True, timeout=60) for command in commands)
        return all(each.returncode == 0 for each in done)
    except FileNotFoundError:
        return False


def ensure_engine() -> None:
    """
    Raises:
        RuntimeError: there is no engine and no script, or the script failed.
    """
    if there():
        return
    script = Path(os.environ.get(SCRIPT) or CHECKOUT.parent / "shared" / "docker" / "engine-up")
    if not script.is_file():
        raise RuntimeError(f"No Docker engine answers and there is no {script}. Start one, or name a script: {SCRIPT}.")
    started = subprocess.run([str(script)], check=False, capture_output=True, text=True, timeout=900)
    if started.returncode or not there():
        raise RuntimeError(f"{script} started no engine:\n{started.stdout}{started.stderr}")
