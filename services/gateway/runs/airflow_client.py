"""Client of Airflow's REST API (v2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from services.core.errors import ConflictError, NotFoundError, UnavailableError
from services.core.jobs.client import ServiceRequest
from services.gateway.metrics import GatewayMetrics
from services.gateway.service_client import create_client
from services.gateway.settings import GatewaySettings

RUN_STATES: Mapping[str, str] = {"queued": "queued", "running": "running", "success": "succeeded", "failed": "failed"}
"""Airflow's run states -> run states of the gateway."""
ENDED_STATES = frozenset({"success", "failed"})


class AirflowClient:
    """Client of Airflow's REST API, authenticated by a cached token."""

    def __init__(self, settings: GatewaySettings, counters: GatewayMetrics) -> None:
        assert settings.airflow_url is not None
        self._backend = create_client("Airflow", settings.airflow_url, counters)
        self._user, self._password = settings.airflow_user, settings.airflow_password
        self._token = ""
        self._signing_in = asyncio.Lock()

    async def trigger(self, dag: str, run: str, conf: Mapping[str, Any], note: str) -> dict[str, Any]:
        """Start the run ``run`` of ``dag`` unless it exists: its id is the idempotency key."""
        body = {"dag_run_id": run, "logical_date": None, "conf": dict(conf), "note": note[:500]}
        answer = await self._ask("POST", f"/dags/{dag}/dagRuns", json=body)
        if answer.status_code == 409:
            return await self.run(dag, run)
        if answer.status_code == 404:
            raise UnavailableError(
                f"Airflow has no DAG {dag} (yet).", action="Wait until its DAG processor has read the DAGs."
            )
        return self._read(answer)

    async def run(self, dag: str, run: str) -> dict[str, Any]:
        return self._read(await self._ask("GET", f"/dags/{dag}/dagRuns/{quote(run, safe='')}"))

    async def runs(self, dags: str, limit: int) -> list[dict[str, Any]]:
        """Return the newest runs of the DAGs whose id starts with ``dags``."""
        params: dict[str, Any] = {"dag_id_pattern": f"{dags}%", "order_by": "-run_after", "limit": limit}
        found = self._read(await self._ask("GET", "/dags/~/dagRuns", params=params))
        return [run for run in found["dag_runs"] if str(run["dag_id"]).startswith(dags)]

    async def emit(self, asset: str, extra: Mapping[str, Any]) -> int:
        """Create an event of ``asset``, which triggers the DAGs scheduled on it; return the event's id.

        Raises:
            UnavailableError: Airflow does not know the asset (yet).
        """
        params = {"name_pattern": asset, "limit": 100}
        known = self._read(await self._ask("GET", "/assets", params=params))["assets"]
        found = next((item["id"] for item in known if item["name"] == asset), None)
        if found is None:
            raise UnavailableError(
                f"Airflow has no asset {asset} (yet).", action="Wait until its DAG processor has read the DAGs."
            )
        answer = await self._ask("POST", "/assets/events", json={"asset_id": found, "extra": dict(extra)})
        return int(self._read(answer)["id"])

    async def count(self, state: str, since: datetime) -> int:
        """Count the runs in Airflow's ``state``; of finished ones, those that ended after ``since``."""
        params: dict[str, Any] = {"state": state, "limit": 1}
        if state in ENDED_STATES:
            params["end_date_gte"] = since.isoformat()
        return int(self._read(await self._ask("GET", "/dags/~/dagRuns", params=params))["total_entries"])

    async def is_awaiting_approval(self, dag: str, run: str) -> bool:
        return await self._open_question(dag, run) is not None

    async def answer_approval(self, dag: str, run: str, *, approve: bool) -> None:
        """Answer a run's approval task.

        Raises:
            ConflictError: the run is not waiting for approval.
        """
        question = await self._open_question(dag, run)
        if question is None:
            raise ConflictError(f"The run {run} does not wait for an approval.")
        task = question["task_instance"]
        path = (
            f"/dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances/{task['task_id']}/{task['map_index']}/hitlDetails"
        )
        body = {"chosen_options": ["Approve" if approve else "Reject"], "params_input": {}}
        self._read(await self._ask("PATCH", path, json=body))

    async def close(self) -> None:
        await self._backend.close()

    async def _open_question(self, dag: str, run: str) -> dict[str, Any] | None:
        answer = await self._ask("GET", f"/dags/{dag}/dagRuns/{quote(run, safe='')}/hitlDetails")
        if answer.status_code == 404:
            raise NotFoundError(f"Airflow has no run {run} of {dag}.")
        details = self._read(answer)["hitl_details"]
        return next((detail for detail in details if not detail["response_received"]), None)

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send an authenticated request; renew the token if it has expired."""
        for attempt in range(2):
            token = self._token or await self._sign_in()
            headers = {"Authorization": f"Bearer {token}"}
            answer = await self._backend.send(ServiceRequest(method, f"/api/v2{path}", headers=headers, **more))
            if answer.status_code != 401 or attempt:
                return answer
            self._token = ""
        raise AssertionError("unreachable")

    async def _sign_in(self) -> str:
        async with self._signing_in:
            if not self._token:
                password = self._password.get_secret_value() if self._password is not None else ""
                body = {"username": self._user, "password": password}
                answer = await self._backend.send(ServiceRequest("POST", "/auth/token", json=body))
                if answer.status_code == 401:
                    raise UnavailableError(
                        "Airflow does not accept the gateway's name and password.",
                        action="Set VIGIE_AIRFLOW_USER and VIGIE_AIRFLOW_PASSWORD as Airflow has them.",
                    )
                self._token = str(self._read(answer)["access_token"])
            return self._token

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        return dict(self._backend.read(answer))
