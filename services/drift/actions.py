"""Actions after a verdict: a retraining or a rollback, requested from the gateway, which executes and audits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import structlog
from sqlalchemy import Engine

from services.core.auth.service_credentials import service_headers
from services.core.errors import ConflictError, VigieError
from services.core.jobs.retraining import RetrainingLimits, retraining_blocker
from services.core.messages import Message, render
from services.core.monitoring.drift_state import MonitoringRunRow
from services.core.settings import Settings
from services.drift import run_store

log = structlog.get_logger(__name__)
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class MonitoringAction:
    """What a run did: ``kind`` is ``retraining``, ``rollback`` or ``none``, ``run_id`` the id of what was started."""

    kind: str
    message: Message
    run_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry of the run's summary."""
        run = {} if self.run_id is None else {"run_id": self.run_id}
        return {"kind": self.kind, "message": self.message.as_json()} | run


NO_ACTION = MonitoringAction(run_store.NONE, Message("monitoring.no_action"))


class ActionClient(Protocol):
    """Starts retrainings and rollbacks."""

    def retrain(self, use_case: str, run_id: str, reason: str) -> str:
        """Start a retraining for a monitoring run; returns its id."""

    def roll_back(self, use_case: str, version: int, reason: str) -> str:
        """Roll back ``version``; returns the id of what was started."""


class GatewayClient:
    """The gateway's internal routes; it starts the retraining in Airflow where there is one."""

    def __init__(self, settings: Settings) -> None:
        self._url, self._token = settings.gateway_url, settings.service_token

    def retrain(self, use_case: str, run_id: str, reason: str) -> str:
        """Start a retraining.

        Args:
            use_case: which model.
            run_id: the monitoring run that asks for it.
            reason: in English, for the audit log.

        Returns:
            The id of what was started.

        Raises:
            ConflictError: promotions are frozen, or a retraining has not ended.
            VigieError: the gateway refused or does not answer.
        """
        return self._ask("/internal/retrainings", {"use_case": use_case, "monitoring_run": run_id, "reason": reason})

    def roll_back(self, use_case: str, version: int, reason: str) -> str:
        """Put the previous version back in place of ``version``.

        Args:
            use_case: which model.
            version: number of the version that goes.
            reason: in English, for the audit log.

        Returns:
            The id of what was started.

        Raises:
            VigieError: the gateway refused or does not answer.
        """
        return self._ask("/internal/rollbacks", {"use_case": use_case, "version": version, "reason": reason})

    def _ask(self, path: str, body: Mapping[str, Any]) -> str:
        if self._url is None or self._token is None:
            raise VigieError(
                "There is no gateway to ask.", expected="VIGIE_GATEWAY_URL and VIGIE_SERVICE_TOKEN", action="Set them."
            )
        headers = service_headers(self._token.get_secret_value(), "drift", "gateway")
        try:
            answer = httpx.post(
                self._url.rstrip("/") + path,
                json=dict(body),
                headers=headers,
                timeout=_TIMEOUT_SECONDS,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            raise VigieError(f"The gateway does not answer ({type(error).__name__}).") from None
        if answer.status_code == httpx.codes.CONFLICT:
            raise ConflictError(" ".join(fault["reason"] for fault in answer.json()["errors"]))
        if not answer.is_success:
            raise VigieError(f"The gateway refused with status {answer.status_code}: {answer.text[:300]}")
        return str(answer.json()["id"])


def start_retraining(
    engine: Engine,
    client: ActionClient,
    run: MonitoringRunRow,
    *,
    reasons: str,
    learnable: int,
    limits: RetrainingLimits,
) -> MonitoringAction:
    """Start a retraining, unless a limit, a freeze or a lack of labels stands against it.

    Args:
        engine: of the database with the earlier retrainings.
        client: starts it.
        run: the monitoring run that asks for it.
        reasons: in English, for the audit log.
        learnable: number of labels since the change.
        limits: cooldown, retrainings a day and least number of labels.

    Returns:
        The action; of kind ``none``, with the reason, where nothing was started.
    """
    blocker = retraining_blocker(engine, run.use_case, limits=limits, calls_until=run.window_to, outcomes=learnable)
    if blocker is not None:
        return MonitoringAction(run_store.NONE, blocker)
    try:
        started = client.retrain(run.use_case, run.id, reasons)
    except ConflictError as error:
        return MonitoringAction(run_store.NONE, Message("monitoring.retraining_refused", {"problem": error.problem}))
    except VigieError as error:
        log.warning("retraining not started", use_case=run.use_case, reason=str(error).splitlines()[0])
        return MonitoringAction(run_store.NONE, Message("monitoring.retraining_failed", {"problem": error.problem}))
    return MonitoringAction(run_store.RETRAINING, Message("monitoring.retraining", {"outcomes": learnable}), started)


def start_rollback(client: ActionClient, use_case: str, version: int, old: int, reason: Message) -> MonitoringAction:
    """Roll back from ``version`` to the one before it.

    Args:
        client: starts it.
        use_case: which model.
        version: number of the version that goes.
        old: number of the version that comes back.
        reason: message for people and the audit log.

    Returns:
        The action; of kind ``none``, with the reason, where the rollback failed.
    """
    try:
        started = client.roll_back(use_case, version, render(reason, "en"))
    except VigieError as error:
        log.error("rollback failed", use_case=use_case, version=version, reason=str(error).splitlines()[0])
        failure = Message("monitoring.rollback_failed", {"version": version, "problem": error.problem})
        return MonitoringAction(run_store.NONE, failure)
    message = Message("monitoring.rollback", {"version": version, "old": old, "reason": reason})
    return MonitoringAction(run_store.ROLLBACK, message, started)
