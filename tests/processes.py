"""Processes that tests watch and end, and the name of a home that every one of them has to bear."""

from __future__ import annotations

import psutil

ODD_NAME = """a b #1; 50% é'"$HOME&[x],"""
"""A home's folder, with what shells, INI files, URLs and globs read as something else."""


def at_work(process: psutil.Process) -> bool:
    """Whether it still runs; it may end at any moment, between the questions too."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
