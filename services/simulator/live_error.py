"""How wrong answers were, as soon as it is known what happened: from the answers' JSON alone, as a centre would do
it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from services.core.usecases.contract import Classes, Probability, Quantity, Target, UseCase

METRICS = {Quantity: "mae", Probability: "brier", Classes: "accuracy"}


class Guess(NamedTuple):
    """What an answer says about one target: a number, a probability or a class."""

    value: Any
    low: float | None = None
    high: float | None = None


def guesses(use_case: UseCase, answer: Mapping[str, Any]) -> dict[str, Guess]:
    """Target -> what was answered. Answers are shaped by each use case, so this goes by what the parts look like:
    below the target's own name where there is one, else anywhere."""
    found = {}
    for target in use_case.targets:
        own = answer.get(target.name)
        if isinstance(target.output, Classes) and isinstance(own, str):
            found[target.name] = Guess(own)
            continue
        guess = _guess(target, own if isinstance(own, dict) else answer)
        if guess is not None:
            found[target.name] = guess
    return found


class LiveError:
    """Of one use case: sums, so that any number of calls takes no memory."""

    def __init__(self, use_case: UseCase) -> None:
        self._use_case = use_case
        self._sums: dict[str, list[float]] = {}

    def add(self, said: Mapping[str, Guess], labels: Mapping[str, Any]) -> None:
        for target in self._use_case.targets:
            guess, true = said.get(target.name), labels.get(target.label)
            if guess is None or true is None:
                continue
            sums = self._sums.setdefault(target.name, [0.0, 0.0, 0.0, 0.0])
            sums[0] += 1
            if isinstance(target.output, Quantity):
                sums[1] += abs(guess.value - true)
                sums[2] += guess.value - true
                sums[3] += guess.low is not None and guess.high is not None and guess.low <= true <= guess.high
            elif isinstance(target.output, Probability):
                sums[1] += (guess.value - float(true)) ** 2
            else:
                sums[1] += guess.value == true

    def told(self) -> dict[str, dict[str, Any]]:
        """Target -> metric, value, unit and count; for quantities also the bias and how many intervals held."""
        return {target.name: self._told(target) for target in self._use_case.targets if target.name in self._sums}

    def _told(self, target: Target) -> dict[str, Any]:
        count, total, bias, held = self._sums[target.name]
        metric = METRICS[type(target.output)]
        told: dict[str, Any] = {"metric": metric, "value": round(total / count, 4), "count": int(count)}
        if isinstance(target.output, Quantity):
            told |= {"unit": target.output.unit, "bias": round(bias / count, 4), "coverage": round(held / count, 4)}
        return told


def _guess(target: Target, part: Mapping[str, Any]) -> Guess | None:
    for value in _objects(part):
        if isinstance(target.output, Quantity) and "lower" in value and "upper" in value:
            middle = next((value[name] for name in ("median", "value", "mean", "score") if name in value), None)
            if isinstance(middle, int | float):
                return Guess(float(middle), float(value["lower"]), float(value["upper"]))
        elif isinstance(target.output, Probability) and isinstance(value.get("probability"), int | float):
            return Guess(float(value["probability"]))
        elif isinstance(target.output, Classes) and (named := _named(target.output, value)):
            return Guess(named)
    return None


def _named(output: Classes, value: Mapping[str, Any]) -> str:
    """The likeliest class, where ``value`` has the probabilities of all, or of learned ones says it."""
    if output.learned:
        said = value.get("most_likely")
        return said if isinstance(said, str) else ""
    return max(value, key=lambda name: value[name]) if set(value) == set(output.labels) else ""


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """``value`` and all objects within, outer ones first."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _objects(part)
