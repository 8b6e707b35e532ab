"""Airflow's REST API v2 as far as the gateway uses it, with the statuses and shapes of Airflow 3.2."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

USER, PASSWORD = "admin", "airflow password 1"


class AirflowApi:
    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], dict[str, Any]] = {}
        self.questions: dict[tuple[str, str], dict[str, Any]] = {}
        self.state = "running"
        self.tokens = {"first"}
        self.signed_in = 0
        self.app = FastAPI()
        self._add_routes()

    def _add_routes(self) -> None:
        @self.app.middleware("http")
        async def guard(request: Request, call_next: Any) -> Any:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if request.url.path.startswith("/airflow/api") and token not in self.tokens:
                return JSONResponse({"detail": "Invalid JWT token"}, 401)
            return await call_next(request)

        @self.app.post("/airflow/auth/token", status_code=201)
        def token(body: dict[str, str]) -> Any:
            if body != {"username": USER, "password": PASSWORD}:
                return JSONResponse({"detail": "Invalid credentials"}, 401)
            self.signed_in += 1
            self.tokens = {f"token {self.signed_in}"}
            return {"access_token": f"token {self.signed_in}"}

        @self.app.post("/airflow/api/v2/dags/{dag}/dagRuns")
        def trigger(dag: str, body: dict[str, Any]) -> Any:
            if "logical_date" not in body:
                return JSONResponse({"detail": [{"msg": "Field required"}]}, 422)
            if not dag.endswith("road_accidents"):
                return JSONResponse({"detail": f"The Dag with ID: `{dag}` was not found"}, 404)
            key = (dag, body["dag_run_id"])
            if key in self.runs:
                return JSONResponse({"detail": {"reason": "Unique constraint violation"}}, 409)
            self.runs[key] = {
                "dag_id": dag,
                "dag_run_id": body["dag_run_id"],
                "conf": body["conf"],
                "queued_at": "2026-11-21T10:00:00Z",
                "run_after": "2026-11-21T10:00:00Z",
                "end_date": None,
                "triggering_user_name": "admin",
            }
            return self.runs[key] | {"state": "queued"}

        @self.app.get("/airflow/api/v2/dags/~/dagRuns")
        def runs() -> dict[str, Any]:
            return {"dag_runs": [run | {"state": self.state} for run in self.runs.values()]}

        @self.app.get("/airflow/api/v2/dags/{dag}/dagRuns/{run}")
        def run(dag: str, run: str) -> Any:
            return self.runs[dag, run] | {"state": self.state}

        @self.app.get("/airflow/api/v2/dags/{dag}/dagRuns/{run}/hitlDetails")
        def questions(dag: str, run: str) -> dict[str, Any]:
            found = self.questions.get((dag, run))
            return {"hitl_details": [found] if found else [], "total_entries": 0}

        @self.app.patch("/airflow/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/{index}/hitlDetails")
        def answer(dag: str, run: str, task: str, index: int, body: dict[str, Any]) -> dict[str, Any]:
            self.questions[dag, run] |= {"response_received": True, "chosen_options": body["chosen_options"]}
            return {"responded": True}

    def ask(self, dag: str, run: str) -> None:
        """The run waits for a person."""
        task = {"task_id": "approve", "map_index": -1}
        self.questions[dag, run] = {"task_instance": task, "response_received": False}
