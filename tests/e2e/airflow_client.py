"""Airflow's REST API behind the edge, as a person signed in to the platform and to Airflow sees it."""

from __future__ import annotations

from typing import Any

import httpx

from tests.e2e.platform_client import wait_for
from tests.e2e.stack import Stack

FINAL = {"success", "failed"}


class AirflowClient:
    def __init__(self, stack: Stack) -> None:
        self._client = httpx.Client(base_url=stack.address, timeout=30.0)
        credentials = {"username": "admin", "password": stack.admin_password}
        assert self._client.post("/auth/session", json=credentials).status_code == 200
        account = {
            "username": stack.setting("VIGIE_AIRFLOW_USER"),
            "password": stack.setting("VIGIE_AIRFLOW_PASSWORD"),
        }
        answer = self._client.post("/airflow/auth/token", json=account)
        assert answer.status_code == 201, answer.text
        self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self._client.request(method, f"/airflow/api/v2{path}", headers=self._headers, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:1_000]}"
        return answer.json()

    def trigger(self, dag: str, run: str, **params: Any) -> None:
        self.ask("POST", f"/dags/{dag}/dagRuns", json={"logical_date": None, "dag_run_id": run, "conf": params})

    def finished(self, dag: str, run: str, *, seconds: float) -> str:
        """The run's final state."""

        def state() -> str | None:
            found: str = self.ask("GET", f"/dags/{dag}/dagRuns/{run}")["state"]
            return found if found in FINAL else None

        return wait_for(f"the end of {run}", state, seconds=seconds, every=2)

    def tasks(self, dag: str, run: str) -> dict[str, str]:
        """Task -> state."""
        found = self.ask("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in found}

    def log(self, dag: str, run: str, task: str, attempt: int = 1) -> str:
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}"
        return str(self.ask("GET", path, params={"full_content": "true"})["content"])
