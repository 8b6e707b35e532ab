"""Processes that tests watch and end."""

from __future__ import annotations

import psutil


def at_work(process: psutil.Process) -> bool:
    """Whether it still runs; it may end at any moment, between the questions too."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
