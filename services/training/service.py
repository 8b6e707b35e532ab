"""The training service: settings, metrics and job handlers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter
from pydantic import Field

from services.core import params
from services.core import use_case_registry as declared
from services.core.auth.principal import Principal, Role
from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.errors import ConflictError
from services.core.jobs.job_process import JobContext, JobHandler
from services.core.jobs.metrics import JobMetrics
from services.core.jobs.options import GateOptions, JobSettings, PromoteOptions
from services.core.model_registry.client import ModelRegistry
from services.core.model_registry.version import CHAMPION, RegisteredVersion
from services.core.pipeline.run import run_stages
from services.core.settings import CHECKOUT
from services.training import promotion
from services.training.promotion import candidate_version, gate_verdict, previous_decision


class TrainingSettings(JobSettings):
    """Settings of the training service: where it listens, beside those of every job service."""

    training_host: str = "127.0.0.1"
    training_port: int = Field(default=8603, ge=1, le=65_535)


DECISIONS = ("promote", "refuse", "unchanged")
PROMOTION_MODES = ("gate", "by_hand")


def register_decision_metrics(counters: JobMetrics) -> None:
    """Count the gate's decisions, promotions and rollbacks for Prometheus; every series begins at zero.

    Args:
        counters: The service's metrics, which report each finished job.
    """
    decisions = Counter(
        "vigie_gate_decisions", "What the gate decided.", ("use_case", "decision"), registry=counters.registry
    )
    promotions = Counter("vigie_promotions", "Versions made champion.", ("use_case", "way"), registry=counters.registry)
    rollbacks = Counter("vigie_rollbacks", "Returns to the champion before.", ("use_case",), registry=counters.registry)
    for use_case in declared.names():
        rollbacks.labels(use_case)
        for decision in DECISIONS:
            decisions.labels(use_case, decision)
        for way in PROMOTION_MODES:
            promotions.labels(use_case, way)

    def gate(use_case: str, result: Mapping[str, Any]) -> None:
        decisions.labels(use_case, result["decision"]).inc()

    def promote(use_case: str, result: Mapping[str, Any]) -> None:
        if result["promoted"]:
            promotions.labels(use_case, "by_hand" if result["by_hand"] else "gate").inc()

    def rollback(use_case: str, _: Mapping[str, Any]) -> None:
        rollbacks.labels(use_case).inc()

    counters.tell("gate", gate)
    counters.tell("promote", promote)
    counters.tell("rollback", rollback)


DECISION_BY_OUTCOME: Mapping[str, str] = {"passed": "promote", "refused": "refuse", "unchanged": "unchanged"}
"""The gate's outcome as the result's ``decision``."""


def train(task: JobContext) -> Mapping[str, Any]:
    """Job: run the stages up to training, so that a candidate bundle is published.

    Args:
        task: Home, use case, progress and log of the job.

    Returns:
        Name of the published state, hash and creation time of the bundle, and whether its data are simulated.

    Raises:
        VigieError: A stage failed.
    """
    state = run_stages(task.home, task.use_case, "train", progress=task.progress, output=task.log)
    manifest = read_manifest(state / "models" / task.use_case / "bundle")
    return {
        "state": state.name,
        "bundle_hash": bundle_hash(manifest),
        "created": manifest.created,
        "simulated": manifest.simulated,
    }


def evaluate(task: JobContext) -> Mapping[str, Any]:
    """Job: run the stages up to evaluation, so that the candidate's metrics are published.

    Args:
        task: Home, use case, progress and log of the job.

    Returns:
        Name of the published state, and metrics of model and baseline.

    Raises:
        VigieError: A stage failed.
    """
    state = run_stages(task.home, task.use_case, "evaluate", progress=task.progress, output=task.log)
    path = state / "models" / task.use_case / "evaluation" / "metrics.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    return {"state": state.name, "metrics": report["metrics"], "baseline": report.get("baseline", {})}


def gate(task: JobContext) -> Mapping[str, Any]:
    """Job: register the published candidate and let the gate decide about it.

    Where it was judged against the same champion before, that decision stands, unless ``force`` is asked for.

    Args:
        task: The job; its options are ``GateOptions``.

    Returns:
        The registered version, the decision and its reasons.

    Raises:
        VigieError: There is no evaluated candidate, or the registry cannot be reached.
    """
    options: GateOptions = task.options
    registry = ModelRegistry.open(task.home)
    found = None if options.force else previous_decision(registry, task.home, task.use_case)
    if found is None:
        task.progress("gate: comparing with the champion")
        found = promotion.gate_and_register(
            task.home, task.use_case, gate=params.load_params(CHECKOUT).gate, registry=registry
        )
    else:
        task.progress("gate: judged before, against the same champion")
    version, decision = found
    return {
        **_version_summary(version),
        "decision": DECISION_BY_OUTCOME[decision.outcome],
        "promote": decision.promote,
        "reasons": list(decision.reasons),
        "compared_with": decision.compared_with,
    }


def promote(task: JobContext) -> Mapping[str, Any]:
    """Job: promote a version by hand, or without one what the gate passed.

    What the gate refused stays as it is, and the result says so.

    Args:
        task: The job; its options are ``PromoteOptions``.

    Returns:
        The version, whether it was promoted, and why (not).

    Raises:
        ConflictError: Promotions are frozen, or the candidate was never put through the gate.
        UnavailableError: The database cannot say whether promotions are frozen.
        VigieError: There is no such version, or the champion changed meanwhile.
    """
    options: PromoteOptions = task.options
    registry = ModelRegistry.open(task.home)
    promotion.ensure_not_frozen(registry)  # before the candidate is looked at: the answer is the same
    if options.version is not None:
        change = promotion.promote(
            task.home, task.use_case, options.version, by=_requester(task), job=task.id, registry=registry
        )
        return _promotion_result(change, by_hand=True, reasons=["Promoted by hand."])
    chosen, before = _version_to_promote(registry, task, options.approved), registry.by_alias(task.use_case, CHAMPION)
    allowed, reasons = gate_verdict(chosen, before)
    if not allowed:
        serves = before is not None and before.number == chosen.number
        return {**_version_summary(chosen), "promoted": False, "champion": serves, "by_hand": False, "reasons": reasons}
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
    return _promotion_result(change, by_hand=False, reasons=reasons)


def rollback(task: JobContext) -> Mapping[str, Any]:
    """Job: make the previous champion the champion again; also while promotions are frozen.

    Args:
        task: Home, use case and requester of the job.

    Returns:
        The champion, and the number of the version that it took the place of.

    Raises:
        VigieError: There is no previous version.
    """
    change = promotion.rollback(task.home, task.use_case, by=_requester(task), job=task.id)
    return {**_version_summary(change.champion), "rolled_back": None if change.before is None else change.before.number}


JOBS: Mapping[str, JobHandler] = {
    "train": train,
    "evaluate": evaluate,
    "gate": gate,
    "promote": promote,
    "rollback": rollback,
}


def _version_to_promote(registry: ModelRegistry, task: JobContext, approved: int | None) -> RegisteredVersion:
    """The version that was approved, else the one that holds the published candidate.

    Raises:
        ConflictError: the candidate was never put through the gate.
    """
    if approved is not None:
        return registry.version(task.use_case, approved)
    version = candidate_version(registry, task.home, task.use_case)
    if version is None:
        raise ConflictError(
            f"The candidate of {task.use_case} is not registered, so the gate has not judged it.",
            action="Run the gate first.",
        )
    return version


def _requester(task: JobContext) -> Principal | None:
    """The person who asked for the job; None for a schedule."""
    return Principal("user", "", task.requested_by[:120], Role.OPERATOR, "") if task.requested_by else None


def _promotion_result(change: promotion.ChampionChange, *, by_hand: bool, reasons: list[str]) -> dict[str, Any]:
    before = change.before
    previous = None if before is None or before.number == change.champion.number else before.number
    return {
        **_version_summary(change.champion),
        "promoted": True,
        "champion": True,
        "by_hand": by_hand,
        "previous": previous,
        "reasons": reasons,
    }


def _version_summary(version: RegisteredVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "run_id": version.run_id,
        "bundle_hash": version.bundle_hash,
        "simulated": version.simulated,
        "metrics": version.metrics,
    }
