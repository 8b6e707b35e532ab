"""What the training service's jobs do: the same as ``./vigie train``, ``evaluate``, ``promote`` and ``rollback``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from services.core.access.caller import Caller
from services.core.access.roles import Role
from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.errors import ConflictError
from services.core.jobs.child import Task, Work
from services.core.jobs.options import GateOptions, PromoteOptions
from services.core.pipeline.run import run_stages
from services.core.registry.client import Registry
from services.core.registry.version import CHAMPION, Version
from services.training import promotion
from services.training.judged import candidate, judged_decision, passed_against

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
    registry = Registry.open(task.home)
    promotion.refuse_while_frozen(task.home, registry)  # before the candidate is looked at: the answer is the same
    if options.version is not None:
        change = promotion.promote(
            task.home, task.use_case, options.version, by=_requester(task), job=task.id, registry=registry
        )
        return _promoted(change, by_hand=True, reasons=["Promoted by hand."])
    chosen, before = _chosen(registry, task, options.approved), registry.by_alias(task.use_case, CHAMPION)
    allowed, reasons = passed_against(chosen, before)
    if not allowed:
        serves = before is not None and before.number == chosen.number
        return {**_described(chosen), "promoted": False, "champion": serves, "by_hand": False, "reasons": reasons}
    compared_with = None if before is None else before.number
    change = promotion.promote(
        task.home,
        task.use_case,
        chosen.number,
        by=_requester(task),
        compared_with=compared_with,
        job=task.id,
        registry=registry,
    )
    return _promoted(change, by_hand=False, reasons=reasons)


def rollback(task: Task) -> Mapping[str, Any]:
    """Make the previous champion the champion again; also while promotions are frozen."""
    change = promotion.rollback(task.home, task.use_case, by=_requester(task), job=task.id)
    return {**_described(change.champion), "rolled_back": None if change.before is None else change.before.number}


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


def _requester(task: Task) -> Caller | None:
    """The person who asked for the job; None for a schedule."""
    return Caller("user", "", task.requested_by[:120], Role.OPERATOR, "") if task.requested_by else None


def _promoted(change: promotion.ChampionChange, *, by_hand: bool, reasons: list[str]) -> dict[str, Any]:
    before = change.before
    previous = None if before is None or before.number == change.champion.number else before.number
    return {
        **_described(change.champion),
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
