"""Discovers use cases (built in, installed, named in the environment) and validates each against the contract.

A broken use case is logged and skipped; ``skipped`` lists it with the reason."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from services.core.contract.use_case import (
    BUILT_IN,
    BinaryClassification,
    BinaryPrediction,
    MultiClass,
    MultiClassPrediction,
    Output,
    Regression,
    RegressionPrediction,
    UseCase,
    example_request,
)
from services.core.errors import VigieError

NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{1,39}")
_RESERVED_NAMES = frozenset({"all", "docs"})
"""Reserved names, which have another meaning in place of a use case's name."""
_REQUIRED_MODULES = ("features", "raw", "simulator")
_GUIDE = "See docs/add-a-use-case.md."
_PREDICTION_TYPES: dict[type[Output], type] = {
    Regression: RegressionPrediction,
    BinaryClassification: BinaryPrediction,
    MultiClass: MultiClassPrediction,
}


def validate_use_case(name: str, package: str) -> UseCase:
    """Import and validate the use case declared by ``package``, as far as possible without its data.

    Raises:
        VigieError: the package cannot be imported, declares no use case or another one, or violates the contract.
    """
    fault = name_error(name)
    if fault is not None:
        raise fault
    declared = _load_declaration(name, package)
    try:
        problem = next(_contract_violations(declared), None)
    except Exception as error:  # noqa: BLE001 - third-party code may raise anything
        problem = f"{type(error).__name__}: {error}"
    if problem is not None:
        raise VigieError(f"The use case {name!r} breaks the contract: {problem}.", action=_GUIDE)
    return declared


def name_error(name: str) -> VigieError | None:
    """Return what is wrong with a use case's name, if anything."""
    if NAME_PATTERN.fullmatch(name) and name not in _RESERVED_NAMES:
        return None
    return VigieError(
        f"{name!r} cannot be the name of a use case.",
        expected="2 to 40 small letters, digits and underscores, a letter first, none of "
        + ", ".join(sorted(_RESERVED_NAMES)),
    )


def _load_declaration(name: str, package: str) -> UseCase:
    try:
        declared = importlib.import_module(f"{package}.declaration").USE_CASE
        missing = [m for m in _REQUIRED_MODULES if importlib.util.find_spec(f"{package}.{m}") is None]
    except (Exception, SystemExit) as error:
        raise VigieError(
            f"The declaration of the use case {name!r} cannot be imported: {type(error).__name__}: {error}",
            expected=f"a module {package}.declaration with a UseCase called USE_CASE",
            action=f"Mend or uninstall it. To see where: python -c 'import {package}.declaration'",
        ) from error
    if not isinstance(declared, UseCase):
        raise VigieError(f"{package}.declaration.USE_CASE is a {type(declared).__name__}.", expected="a UseCase")
    if declared.name != name:
        raise VigieError(
            f"The package {package!r} declares a use case called {declared.name!r}.",
            expected=f"the name that it was found by, {name!r}",
        )
    if missing:
        raise VigieError(
            f"The use case {name!r} has no module {' and none '.join(missing)}.",
            expected=f"{', '.join(_REQUIRED_MODULES)} in the package {package}",
            action=_GUIDE,
        )
    if declared.package not in {"", package}:
        raise VigieError(f"The use case {name!r} says that its package is {declared.package!r}.", expected=package)
    own = package == f"{BUILT_IN}.{name}"
    return declared if own or declared.package else replace(declared, package=package)


def _contract_violations(declared: UseCase) -> Iterator[str]:
    yield from _structural_violations(declared)
    try:
        request = declared.serving.request.model_validate(example_request(declared.serving.request)).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        yield f"the examples are no valid request ({'.'.join(map(str, first['loc']))}: {first['msg']})"
        return
    try:
        values, facts = declared.serving.fallback_prediction(request)
        answer = declared.serving.build_response(values, facts, request)
        declared.serving.answer.model_validate(answer)
        if declared.serving.adjust is not None:
            values = {**declared.serving.adjust(values, facts)}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - third-party code may raise anything
        yield f"the example request has no baseline answer ({type(error).__name__}: {error})"
        return
    for target in declared.modelling.targets:
        kind = _PREDICTION_TYPES.get(type(target.output))
        if kind is None or not isinstance(values.get(target.name), kind):
            yield f"the baseline's {target.name} is no {kind.__name__ if kind else 'known value'}"


def _structural_violations(declared: UseCase) -> Iterator[str]:
    for what, model in (("request", declared.serving.request), ("answer", declared.serving.answer)):
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            yield f"{what} is no pydantic model"
            return
    if not declared.modelling.targets or not declared.data.tables or not declared.serving.request.model_fields:
        yield "it has to have at least one target, one table and one request field"
    for field, info in declared.serving.request.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        words = (info.title, info.description, info.examples, extra.get("x-title-fr"), extra.get("x-help-fr"))
        if not all(words):
            yield f"the request field {field} lacks its title, help or examples; described() gives them"
    targets = [target.name for target in declared.modelling.targets]
    scored = [
        *targets,
        *(v.name for v in declared.modelling.input_scenarios),
        *(p.name for p in declared.modelling.evaluation_slices),
    ]
    for kind, names in {"target, variant or part": scored, "table": [t.name for t in declared.data.tables]}.items():
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"there is more than one {kind} called {twice[0]}"
    for variant in declared.modelling.input_scenarios:
        if unknown := sorted(set(variant.without) - declared.serving.request.model_fields.keys()):
            yield f"the variant {variant.name} leaves out {unknown[0]}, which is no request field"
    variants = [variant.name for variant in declared.modelling.input_scenarios]
    derived = [(v.name, v.target, targets) for v in declared.modelling.input_scenarios]
    derived += [(p.name, p.target, [*targets, *variants]) for p in declared.modelling.evaluation_slices]
    for name, target, known in derived:
        if target not in known:
            yield f"{name} is of a target {target} that there is not"


ENTRY_POINT_GROUP = "vigie.use_cases"
"""Entry points: the use case's name = the import path of its package."""
EXTRA_USE_CASES_VARIABLE = "VIGIE_EXTRA_USE_CASES"

# Not structlog: it may be called before logging is configured, and must reach standard error then too.
log = logging.getLogger(__name__)


class DiscoveredPackage(NamedTuple):
    """A discovered package and its source."""

    name: str
    package: str
    origin: str


class SkippedUseCase(NamedTuple):
    """A use case that was discovered but is not usable."""

    name: str
    package: str
    origin: str
    reason: VigieError


@cache
def packages() -> dict[str, str]:
    """Return use case -> import path of its package, sorted by name, valid or not; nothing is imported. On equal names
    the order is: built in, installed, environment."""
    found: dict[str, str] = {}
    for source in _discover():
        if found.setdefault(source.name, source.package) != source.package:
            _log_skipped(_name_conflict(source, found[source.name]))
    return dict(sorted(found.items()))


def names() -> tuple[str, ...]:
    """Return the names of the usable use cases, sorted."""
    return tuple(name for name, package in packages().items() if isinstance(_validated(name, package), UseCase))


@cache
def get(name: str) -> UseCase:
    """Return the declaration of one use case.

    Raises:
        VigieError: no such use case, or it is not usable.
    """
    if name not in packages():
        raise VigieError(f"There is no use case {name!r}.", expected="one of " + ", ".join(names()))
    found = _validated(name, packages()[name])
    if isinstance(found, UseCase):
        return found
    # A new exception each time: re-raising one would accumulate tracebacks.
    raise VigieError(found.problem, expected=found.expected, action=found.action) from found


def list_use_cases() -> tuple[UseCase, ...]:
    """Return the declarations of all usable use cases, sorted by name."""
    return tuple(get(name) for name in names())


def skipped() -> tuple[SkippedUseCase, ...]:
    """List the skipped use cases with their reasons."""
    chosen, out = packages(), []
    for source in dict.fromkeys(_discover()):
        if chosen.get(source.name) != source.package:
            out.append(_name_conflict(source, chosen.get(source.name, "")))
        elif isinstance(reason := _validated(source.name, source.package), VigieError):
            out.append(SkippedUseCase(*source, reason))
    return tuple(out)


def _discover() -> Iterator[DiscoveredPackage]:
    for module in pkgutil.iter_modules(importlib.import_module(BUILT_IN).__path__):
        if module.ispkg:
            yield DiscoveredPackage(module.name, f"{BUILT_IN}.{module.name}", "the platform")
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: (entry.name, entry.value)):
        yield DiscoveredPackage(
            entry.name, entry.value.strip(), f"the installed package {entry.dist.name if entry.dist else '?'}"
        )
    for path in os.environ.get(EXTRA_USE_CASES_VARIABLE, "").split(","):
        if path.strip():
            yield DiscoveredPackage(path.strip().rpartition(".")[2], path.strip(), EXTRA_USE_CASES_VARIABLE)


@cache
def _validated(name: str, package: str) -> UseCase | VigieError:
    try:
        return validate_use_case(name, package)
    except VigieError as error:
        origin = next((s.origin for s in _discover() if (s.name, s.package) == (name, package)), "")
        _log_skipped(SkippedUseCase(name, package, origin, error))
        return error


def _name_conflict(source: DiscoveredPackage, package: str) -> SkippedUseCase:
    reason = VigieError(
        f"The name {source.name!r} belongs to {package} already; {source.package} is left out.",
        expected="one package for each name of a use case",
        action="Rename or uninstall one of the two.",
    )
    return SkippedUseCase(*source, reason)


def _log_skipped(left_out: SkippedUseCase) -> None:
    log.error(
        "use case skipped: %s (%s, from %s). %s",
        left_out.name,
        left_out.package,
        left_out.origin,
        " ".join(str(left_out.reason).splitlines()),
    )
