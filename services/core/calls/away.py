"""The database's absence, as a word that needs no database library."""

from __future__ import annotations


class DatabaseAwayError(Exception):
    """The database cannot be used at the moment: not reachable, not there yet, or not brought up to date."""
