"""What the training service's jobs do: the same as ``./vigie train``, ``evaluate``, ``promote`` and ``rollback``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.errors import ConflictError
from services.core.jobs.child import Task, Work
from services.core.jobs.options import GateOptions, PromoteOptions
from services.core.pipeline.run import run_stages
from services.core.registry.client import Registry
from services.core.registry.version import CHAMPION, Version
from services.core.settings import settings
from services.training import baseline_tables, promotion
from services.training.champion_log import champion_changed
from services.training.judged import candidate, judged_decision, passed_against
from services.training.promotion_freeze import refuse_while_frozen

ANSWERS: Mapping[str, str] = {"passed": "promote", "refused": "refuse", "unchanged": "unchanged"}
"""The gate's outcome as the result's ``decision``."""


def train(task: Task) -> Mapping[str, Any]:
    state = run_stages(task.home, task.use_case, "train", progress=task.progress, said=task.log)
    manifest = read_manifest(state / "models" / task.use_case / "bundle")
    return {
        "state": state.name,
        "bundle_hash": bundle_hash(manifest),
        "created": manifest.created,
        "simulated": manifest.simulated,
    }


def evaluate(task: Task) -> Mapping[str, Any]:
    state = run_stages(task.home, task.use_case, "evaluate", progress=task.progress, said=task.log)
    path = state / "models" / task.use_case / "evaluation" / "metrics.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    return {"state": state.name, "metrics": report["metrics"], "baseline": report.get("baseline", {})}


def gate(task: Task) -> Mapping[str, Any]:
    """Register the published candidate and judge it; not again where it was judged against the same champion,
    unless that is asked for."""
    options: GateOptions = task.options
    registry = Registry.open(task.home)
    found = None if options.force else judged_decision(registry, task.home, task.use_case)
    if found is None:
        task.progress("gate: comparing with the champion")
        found = promotion.gate_and_register(task.home, task.use_case, registry=registry)
    else:
        task.progress("gate: judged before, against the same champion")
    version, decision = found
    return {
        **_described(version),
        "decision": ANSWERS[decision.outcome],
        "promote": decision.promote,
        "reasons": list(decision.reasons),
        "compared_with": decision.compared_with,
    }


def promote(task: Task) -> Mapping[str, Any]:
    """Promote ``version`` by hand; without it what the gate passed. What the gate refused stays as it is,
    and the result says so."""
    options: PromoteOptions = task.options
    refuse_while_frozen(settings())
    registry = Registry.open(task.home)
    before = registry.by_alias(task.use_case, CHAMPION)
    if options.version is not None:
        champion = registry.promote(task.use_case, options.version)
        champion_changed(task, before, champion, "by hand")
        baseline_tables.publish(task.home, registry, champion)
        return _promoted(champion, before, by_hand=True, reasons=["Promoted by hand."])
    chosen = _chosen(registry, task, options.approved)
    allowed, reasons = passed_against(chosen, before)
    if not allowed:
        serves = before is not None and before.number == chosen.number
        return {**_described(chosen), "promoted": False, "champion": serves, "by_hand": False, "reasons": reasons}
    champion = registry.promote(task.use_case, chosen.number, compared_with=None if before is None else before.number)
    champion_changed(task, before, champion, "gate")
    baseline_tables.publish(task.home, registry, champion)
    return _promoted(champion, before, by_hand=False, reasons=reasons)


def rollback(task: Task) -> Mapping[str, Any]:
    """Make the previous champion the champion again; also while promotions are frozen."""
    registry = Registry.open(task.home)
    before = registry.by_alias(task.use_case, CHAMPION)
    champion = promotion.rollback(task.home, task.use_case, registry=registry)
    champion_changed(task, before, champion, "rollback")
    baseline_tables.publish(task.home, registry, champion)
    return {**_described(champion), "rolled_back": None if before is None else before.number}


JOBS: Mapping[str, Work] = {
    "train": train,
    "evaluate": evaluate,
    "gate": gate,
    "promote": promote,
    "rollback": rollback,
}


def _chosen(registry: Registry, task: Task, approved: int | None) -> Version:
    """The version that was approved, else the one that holds the published candidate.

    Raises:
        ConflictError: the candidate was never put through the gate.
    """
    if approved is not None:
        return registry.version(task.use_case, approved)
    version = candidate(registry, task.home, task.use_case)
    if version is None:
        raise ConflictError(
            f"The candidate of {task.use_case} is not registered, so the gate has not judged it.",
            action="Run the gate first.",
        )
    return version


def _promoted(champion: Version, before: Version | None, *, by_hand: bool, reasons: list[str]) -> dict[str, Any]:
    previous = None if before is None or before.number == champion.number else before.number
    return {
        **_described(champion),
        "promoted": True,
        "champion": True,
        "by_hand": by_hand,
        "previous": previous,
        "reasons": reasons,
    }


def _described(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "run_id": version.run_id,
        "bundle_hash": version.bundle_hash,
        "simulated": version.simulated,
        "metrics": version.metrics,
    }
