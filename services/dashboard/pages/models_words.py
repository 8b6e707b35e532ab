"""A use case's targets and metrics as people call them, and which way is better."""

from __future__ import annotations

import re

from services.core.usecases.contract import Quantity, UseCase
from services.dashboard.session import Session

_LOWER = frozenset({"mae", "rmse", "mean_width", "brier", "log_loss", "ece", "cost"})
_SHARES = frozenset({"accuracy", "precision", "recall"})
_IN_UNIT = frozenset({"mae", "rmse", "mean_width"})
_COVERAGE = re.compile(r"coverage_(\d+)")


def target_title(session: Session, use_case: UseCase, name: str) -> str:
    """Of a target, of a variant of one or of a part of one."""
    words = session.words
    for target in use_case.targets:
        if target.name == name:
            return words.of(target.title)
    for variant in use_case.variants:
        if variant.name == name:
            title = words.of(use_case.target(variant.target).title)
            said = name.removeprefix(variant.target).strip("_").replace("_", " ")
            return f"{title} ({said})" if said and said != name else words("models.known_less", title=title)
    for part in use_case.parts:
        if part.name == name:
            return f"{words.of(use_case.target(part.target).title)} ({part.value})"
    return name


def metric_title(session: Session, metric: str) -> str:
    found = _COVERAGE.fullmatch(metric)
    if found is not None:
        return f"{session.words('models.metric_coverage')} ({session.formats.percent(int(found[1]) / 100)})"
    return session.words.known(f"models.metric_{metric}", metric)


def metric_value(session: Session, use_case: UseCase, target: str, metric: str, value: float | None) -> str:
    """With its unit, where it has one."""
    formats = session.formats
    if value is None:
        return "–"
    if metric in _SHARES or _COVERAGE.fullmatch(metric):
        return formats.percent(value, 1)
    unit = _unit(use_case, target)
    if metric in _IN_UNIT and unit:
        return formats.quantity(value, unit, min(_digits(value), 2))
    return formats.number(value, max(_digits(value), 3) if abs(value) < 10 else _digits(value))


def gain(metric: str, new: float, old: float) -> float:
    """How much better ``new`` is; negative for worse."""
    found = _COVERAGE.fullmatch(metric)
    if found is not None:
        aim = int(found[1]) / 100
        return abs(old - aim) - abs(new - aim)
    return old - new if metric in _LOWER else new - old


def _unit(use_case: UseCase, name: str) -> str:
    derived = {item.name: item.target for item in use_case.variants} | {p.name: p.target for p in use_case.parts}
    for target in use_case.targets:
        if target.name == derived.get(name, name) and isinstance(target.output, Quantity):
            return target.output.unit
    return ""


def _digits(value: float) -> int:
    size = abs(value)
    return 0 if size >= 1_000 else 1 if size >= 10 else 2 if size >= 1 else 4
