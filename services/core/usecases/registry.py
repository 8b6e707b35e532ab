"""Finds the use cases: every package here that has a ``declaration`` module, and the packages that
``VIGIE_EXTRA_USE_CASES`` names."""

from __future__ import annotations

import importlib
import os
import pkgutil
from functools import cache

from services.core import usecases as here
from services.core.errors import VigieError
from services.core.usecases.contract import UseCase


@cache
def packages() -> dict[str, str]:
    """Use case -> import path of its package, sorted by name; nothing of theirs is imported."""
    found = {
        module.name: f"{here.__name__}.{module.name}" for module in pkgutil.iter_modules(here.__path__) if module.ispkg
    }
    for path in os.environ.get("VIGIE_EXTRA_USE_CASES", "").split(","):
        if path.strip():
            found[path.strip().rpartition(".")[2]] = path.strip()
    return dict(sorted(found.items()))


def names() -> tuple[str, ...]:
    return tuple(packages())


@cache
def get(name: str) -> UseCase:
    """The declaration of one use case.

    Raises:
        VigieError: no such use case, or its package declares another name.
    """
    if name not in packages():
        raise VigieError(f"There is no use case {name!r}.", expected="one of " + ", ".join(names()))
    use_case: UseCase = importlib.import_module(f"{packages()[name]}.declaration").USE_CASE
    if use_case.name != name:
        raise VigieError(
            f"The package {packages()[name]!r} declares a use case called {use_case.name!r}.",
            expected=f"the name of its package, {name!r}",
        )
    return use_case


def every() -> tuple[UseCase, ...]:
    return tuple(get(name) for name in names())
