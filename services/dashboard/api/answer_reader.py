"""Finds predictions in an answer of unknown shape by the declaration's targets: quantities with intervals,
probabilities with decisions, classes with shares; the rest stays as fields. To be deleted once answers carry
``predictions``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from services.core.contract.use_case import BinaryClassification, MultiClass, Regression, Target, Text, UseCase

FRENCH_SUFFIX = "_fr"
_POINT_NAMES = ("median", "value", "mean", "score", "expected")


@dataclass(frozen=True, slots=True)
class RegressionPart:
    target: Target
    value: float
    lower: float
    upper: float

    @property
    def output(self) -> Regression:
        assert isinstance(self.target.output, Regression)
        return self.target.output


@dataclass(frozen=True, slots=True)
class BinaryPart:
    target: Target
    probability: float
    decision: bool | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class MultiClassPart:
    target: Target
    most_likely: str
    shares: dict[str, float]
    names: dict[str, str] = field(default_factory=dict)
    """What people call a class, where the answer says so."""


@dataclass(frozen=True, slots=True)
class ExtraField:
    """A value that belongs to no target. A text that has its French beside it in a field of the same name and ``_fr``
    is both of them."""

    title: Text
    unit: str
    value: Any
    group: Text | None


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    quantities: list[RegressionPart]
    probabilities: list[BinaryPart]
    classes: list[MultiClassPart]
    leaves: list[ExtraField]

    def quantity(self, target: str) -> RegressionPart | None:
        return next((found for found in self.quantities if found.target.name == target), None)


FieldPath = tuple[str, ...]


def parse_answer(use_case: UseCase, answer: Mapping[str, Any]) -> ParsedAnswer:
    """The parts of one answer, in the order of the targets."""
    used: set[FieldPath] = set()
    objects = list(_objects(answer))
    quantities, probabilities, classes = [], [], []
    for target in use_case.targets:
        if isinstance(target.output, Regression):
            found = _best_match(target, [path for path, node in objects if _is_interval(node)], used)
            if found is not None:
                node = _value_at(answer, found)
                middle = _point_name(node, target)
                quantities.append(
                    RegressionPart(target, float(node[middle]), float(node["lower"]), float(node["upper"]))
                )
                used |= {(*found, name) for name in (middle, "lower", "upper")}
        elif isinstance(target.output, BinaryClassification):
            one = _probability(target, answer, objects, used)
            if one is not None:
                probabilities.append(one)
        elif isinstance(target.output, MultiClass):
            several = _classes(target, answer, objects, used)
            if several is not None:
                classes.append(several)
    objectives = {q.output.objective for q in quantities} - {None}
    leaves = [
        leaf for _, leaf in _extra_fields(use_case.answer, answer, used) if not any(leaf.value == o for o in objectives)
    ]
    return ParsedAnswer(quantities, probabilities, classes, leaves)


def _objects(node: Mapping[str, Any], above: FieldPath = ()) -> Iterator[tuple[FieldPath, Mapping[str, Any]]]:
    yield above, node
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from _objects(value, (*above, name))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_interval(node: Mapping[str, Any]) -> bool:
    return _is_number(node.get("lower")) and _is_number(node.get("upper"))


def _point_name(node: Mapping[str, Any], target: Target) -> str:
    names = [*_POINT_NAMES, target.name, *node]
    return next(name for name in names if name not in {"lower", "upper"} and _is_number(node.get(name)))


def _best_match(target: Target, paths: list[FieldPath], used: set[FieldPath]) -> FieldPath | None:
    """The path that the target's name stands in, else the first that nobody has."""
    free = [path for path in paths if not any(taken[: len(path) + 1][:-1] == path for taken in used if path)]
    free = [path for path in free if (*path, "lower") not in used]
    return next((path for path in free if target.name in path), free[0] if free else None)


def _probability(
    target: Target, answer: Mapping[str, Any], objects: list[tuple[FieldPath, Mapping[str, Any]]], used: set[FieldPath]
) -> BinaryPart | None:
    paths = [path for path, node in objects if _is_number(node.get("probability"))]
    free = [path for path in paths if (*path, "probability") not in used]
    found = next((path for path in free if target.name in path), free[0] if free else None)
    flat = f"{target.name}_probability"
    if _is_number(answer.get(flat)):
        used |= {(flat,), (target.name,)}
        decision = answer.get(target.name)
        return BinaryPart(target, float(answer[flat]), decision if isinstance(decision, bool) else None, None)
    if found is None:
        return None
    node = _value_at(answer, found)
    used |= {(*found, name) for name in ("probability", "decision", "threshold")}
    decision, threshold = node.get("decision"), node.get("threshold")
    return BinaryPart(
        target,
        float(node["probability"]),
        decision if isinstance(decision, bool) else None,
        float(threshold) if _is_number(threshold) else None,
    )


def _classes(
    target: Target, answer: Mapping[str, Any], objects: list[tuple[FieldPath, Mapping[str, Any]]], used: set[FieldPath]
) -> MultiClassPart | None:
    tables = [path for path, node in objects if path and _are_probabilities(node)]
    free = [path for path in tables if path not in used]
    found = next((path for path in free if target.name in path), free[0] if free else None)
    if found is not None:
        shares = {str(name): float(share) for name, share in _value_at(answer, found).items()}
        beside = _value_at(answer, found[:-1])
        named = next((name for name, value in beside.items() if value in shares and isinstance(value, str)), None)
        used |= {found, *((*found, name) for name in shares)} | ({(*found[:-1], named)} if named else set())
        return MultiClassPart(target, str(beside[named]) if named else max(shares, key=lambda s: shares[s]), shares)
    for name, value in answer.items():  # candidates, the most probable first
        if isinstance(value, list) and value and all(_is_candidate(item) for item in value) and (name,) not in used:
            label = next(key for key, text in value[0].items() if isinstance(text, str))
            used |= {(name,), ("probability",), *((key,) for key in value[0])}
            shares = {str(item[label]): float(item["probability"]) for item in value}
            names = {str(item[label]): str(item["name"]) for item in value if label != "name" and item.get("name")}
            return MultiClassPart(target, str(value[0][label]), shares, names)
    word = answer.get(target.name)
    if isinstance(word, str):
        used.add((target.name,))
        return MultiClassPart(target, word, {})
    return None


def _are_probabilities(node: Mapping[str, Any]) -> bool:
    shares = list(node.values())
    return len(shares) > 1 and all(_is_number(v) and 0 <= v <= 1 for v in shares) and abs(sum(shares) - 1) < 0.02


def _is_candidate(item: Any) -> bool:
    return (
        isinstance(item, Mapping)
        and _is_number(item.get("probability"))
        and any(isinstance(value, str) for value in item.values())
    )


def _value_at(node: Any, path: FieldPath) -> Any:
    for name in path:
        node = node[name]
    return node


def _extra_fields(
    model: type[BaseModel],
    answer: Mapping[str, Any],
    used: set[FieldPath],
    above: FieldPath = (),
    group: Text | None = None,
) -> Iterator[tuple[FieldPath, ExtraField]]:
    for name, value in answer.items():
        path = (*above, name)
        if (
            path in used
            or value is None
            or (name.endswith(FRENCH_SUFFIX) and name.removesuffix(FRENCH_SUFFIX) in answer)
        ):
            continue
        if isinstance(value, str) and f"{name}{FRENCH_SUFFIX}" in answer:
            value = Text(value, str(answer[f"{name}{FRENCH_SUFFIX}"]))  # noqa: PLW2901 - the same, in both languages
        info = model.model_fields.get(name)
        extra: Any = info.json_schema_extra if info and isinstance(info.json_schema_extra, dict) else {}
        title = (info.title if info else None) or name.replace("_", " ")
        said = Text(title, str(extra.get("x-title-fr", title)))
        inner = info.annotation if info else None
        if isinstance(value, Mapping):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _extra_fields(inner, value, used, path, said)
        elif not isinstance(value, list) or all(isinstance(item, str) for item in value):
            yield path, ExtraField(said, str(extra.get("x-unit", "")), value, group)
