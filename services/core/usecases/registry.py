"""Finds the use cases: the packages here that have a ``declaration`` module, the packages that installed
distributions name by an entry point of the group ``vigie.use_cases``, and those in ``VIGIE_EXTRA_USE_CASES``.

One that is broken is told of and left out, so that the others still start: ``skipped`` says which and why.
"""

from __future__ import annotations

import logging
import os
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from typing import NamedTuple

from services.core import usecases as here
from services.core.errors import VigieError
from services.core.usecases.contract import UseCase
from services.core.usecases.soundness import sound

GROUP = "vigie.use_cases"
"""Entry points: the use case's name = the import path of its package."""
VARIABLE = "VIGIE_EXTRA_USE_CASES"

# Not structlog: this may be said before a program has set its logs up, and then belongs on standard error too.
log = logging.getLogger(__name__)


class Source(NamedTuple):
    """Where a use case was found."""

    name: str
    package: str
    origin: str


class Skipped(NamedTuple):
    """A use case that was found and left out."""

    name: str
    package: str
    origin: str
    reason: VigieError


@cache
def packages() -> dict[str, str]:
    """Use case -> import path of its package, sorted by name, sound or not; nothing of theirs is imported. The
    first one found has a name: those of the platform itself, then installed ones, then the environment's."""
    found: dict[str, str] = {}
    for source in _sources():
        if found.setdefault(source.name, source.package) != source.package:
            _told(_name_taken(source, found[source.name]))
    return dict(sorted(found.items()))


def names() -> tuple[str, ...]:
    """The use cases that can be used, sorted."""
    return tuple(name for name, package in packages().items() if isinstance(_looked_at(name, package), UseCase))


@cache
def get(name: str) -> UseCase:
    """The declaration of one use case.

    Raises:
        VigieError: no such use case, or it cannot be used.
    """
    if name not in packages():
        raise VigieError(f"There is no use case {name!r}.", expected="one of " + ", ".join(names()))
    found = _looked_at(name, packages()[name])
    if isinstance(found, UseCase):
        return found
    # A new one each time: an exception that is raised again gathers the tracebacks of all times.
    raise VigieError(found.problem, expected=found.expected, action=found.action) from found


def every() -> tuple[UseCase, ...]:
    return tuple(get(name) for name in names())


def skipped() -> tuple[Skipped, ...]:
    """What was found and left out."""
    chosen, out = packages(), []
    for source in dict.fromkeys(_sources()):
        if chosen.get(source.name) != source.package:
            out.append(_name_taken(source, chosen.get(source.name, "")))
        elif isinstance(reason := _looked_at(source.name, source.package), VigieError):
            out.append(Skipped(*source, reason))
    return tuple(out)


def _sources() -> Iterator[Source]:
    for module in pkgutil.iter_modules(here.__path__):
        if module.ispkg:
            yield Source(module.name, f"{here.__name__}.{module.name}", "the platform")
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        yield Source(entry.name, entry.value.strip(), f"the installed package {entry.dist.name if entry.dist else '?'}")
    for path in os.environ.get(VARIABLE, "").split(","):
        if path.strip():
            yield Source(path.strip().rpartition(".")[2], path.strip(), VARIABLE)


@cache
def _looked_at(name: str, package: str) -> UseCase | VigieError:
    try:
        return sound(name, package)
    except VigieError as error:
        origin = next((s.origin for s in _sources() if (s.name, s.package) == (name, package)), "")
        _told(Skipped(name, package, origin, error))
        return error


def _name_taken(source: Source, package: str) -> Skipped:
    reason = VigieError(
        f"The name {source.name!r} belongs to {package} already; {source.package} is left out.",
        expected="one package for each name of a use case",
        action="Rename or uninstall one of the two.",
    )
    return Skipped(*source, reason)


def _told(left_out: Skipped) -> None:
    log.error(
        "use case skipped: %s (%s, from %s). %s",
        left_out.name,
        left_out.package,
        left_out.origin,
        " ".join(str(left_out.reason).splitlines()),
    )
