"""Is a package a use case that the platform can carry? Asked of every package that was found, before anything
relies on it; pydantic and the standard library alone."""

from __future__ import annotations

import importlib
import importlib.util
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from services.core.errors import VigieError
from services.core.usecases.contract import (
    Classes,
    ClassesValue,
    Output,
    Probability,
    ProbabilityValue,
    Quantity,
    QuantityValue,
    UseCase,
    example_request,
)

NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
_TAKEN = frozenset({"all", "docs"})
"""Names that mean something else where use cases are named."""
_MODULES = ("features", "raw", "simulator")
_GUIDE = "See docs/add-a-use-case.md."
_VALUES: dict[type[Output], type] = {
    Quantity: QuantityValue,
    Probability: ProbabilityValue,
    Classes: ClassesValue,
}


def sound(name: str, package: str) -> UseCase:
    """The use case that ``package`` declares, once everything that can be told without its data was looked at.

    Raises:
        VigieError: the package cannot be imported, declares no use case or another one, or breaks the contract.
    """
    fault = name_fault(name)
    if fault is not None:
        raise fault
    declared = _declared(name, package)
    try:
        problem = next(_problems(declared), None)
    except Exception as error:  # noqa: BLE001 - it may hold anything
        problem = f"{type(error).__name__}: {error}"
    if problem is not None:
        raise VigieError(f"The use case {name!r} breaks the contract: {problem}.", action=_GUIDE)
    return declared


def name_fault(name: str) -> VigieError | None:
    """What is wrong with a name for a use case, if anything."""
    if NAME.fullmatch(name) and name not in _TAKEN:
        return None
    return VigieError(
        f"{name!r} cannot be the name of a use case.",
        expected="2 to 40 small letters, digits and underscores, a letter first, none of " + ", ".join(sorted(_TAKEN)),
    )


def example(model: type[BaseModel]) -> dict[str, Any]:
    """The old name of ``contract.example_request``, for use cases made before it."""
    warnings.warn("use contract.example_request in place of soundness.example", DeprecationWarning, stacklevel=2)
    return example_request(model)


def _declared(name: str, package: str) -> UseCase:
    try:
        declared = importlib.import_module(f"{package}.declaration").USE_CASE
        missing = [m for m in _MODULES if importlib.util.find_spec(f"{package}.{m}") is None]
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
            expected=f"{', '.join(_MODULES)} in the package {package}",
            action=_GUIDE,
        )
    if declared.package not in {"", package}:
        raise VigieError(f"The use case {name!r} says that its package is {declared.package!r}.", expected=package)
    own = package == f"{__package__}.{name}"
    return declared if own or declared.package else replace(declared, package=package)


def _problems(declared: UseCase) -> Iterator[str]:
    yield from _of_form(declared)
    try:
        request = declared.request.model_validate(example_request(declared.request)).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        yield f"the examples are no valid request ({'.'.join(map(str, first['loc']))}: {first['msg']})"
        return
    try:
        values, facts = declared.baseline(request)
        answer = declared.compose(values, facts, request)
        declared.answer.model_validate(answer)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - theirs to raise what they like
        yield f"the example request has no baseline answer ({type(error).__name__}: {error})"
        return
    for target in declared.targets:
        kind = _VALUES.get(type(target.output))
        if kind is None or not isinstance(values.get(target.name), kind):
            yield f"the baseline's {target.name} is no {kind.__name__ if kind else 'known value'}"


def _of_form(declared: UseCase) -> Iterator[str]:
    for what in ("request", "answer"):
        if not (isinstance(getattr(declared, what), type) and issubclass(getattr(declared, what), BaseModel)):
            yield f"{what} is no pydantic model"
            return
    if not declared.targets or not declared.tables or not declared.request.model_fields:
        yield "it has to have at least one target, one table and one request field"
    for field, info in declared.request.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        words = (info.title, info.description, info.examples, extra.get("x-title-fr"), extra.get("x-help-fr"))
        if not all(words):
            yield f"the request field {field} lacks its title, help or examples; described() gives them"
    targets = [target.name for target in declared.targets]
    scored = [*targets, *(v.name for v in declared.variants), *(p.name for p in declared.parts)]
    for kind, names in {"target, variant or part": scored, "table": [t.name for t in declared.tables]}.items():
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"there is more than one {kind} called {twice[0]}"
    for variant in declared.variants:
        if unknown := sorted(set(variant.without) - declared.request.model_fields.keys()):
            yield f"the variant {variant.name} leaves out {unknown[0]}, which is no request field"
    variants = [variant.name for variant in declared.variants]
    derived = [(v.name, v.target, targets) for v in declared.variants]
    derived += [(p.name, p.target, [*targets, *variants]) for p in declared.parts]
    for name, target, known in derived:
        if target not in known:
            yield f"{name} is of a target {target} that there is not"
