"""All three stage services in one application, whose jobs end as a test says."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from tests.gateways import SERVICE_TOKEN


class StageServices:
    """``results``: step -> (state, result). Steps that are in ``held`` stay running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begin_anew()
        self.app = FastAPI()
        self._add_routes()

    def begin_anew(self) -> None:
        self.results: dict[str, tuple[str, dict[str, Any]]] = {"gate": ("succeeded", {"promote": True, "version": 3})}
        self.results["promote"] = ("succeeded", {"promoted": True, "version": 3})
        self.held: set[str] = set()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.submitted: list[tuple[str, str, dict[str, Any], str]] = []
        self.away = False

    def steps(self) -> list[str]:
        return [step for step, *_ in self.submitted]

    def _shown(self, job: dict[str, Any]) -> dict[str, Any]:
        state, result = self.results.get(job["step"], ("succeeded", {}))
        if job["step"] in self.held:
            return job | {"state": "running", "result": None, "error": None}
        error = None if state == "succeeded" else {"problem": "It broke.", "expected": "", "action": "Mend it."}
        if state == "interrupted" and job["attempts"] > 1:
            state, error = "succeeded", None
        return job | {"state": state, "result": result, "error": error}

    def _add_routes(self) -> None:
        @self.app.middleware("http")
        async def guard(request: Request, call_next: Any) -> Any:
            if self.away:
                return JSONResponse({}, 503)
            if request.headers.get("authorization") != f"Bearer {SERVICE_TOKEN}":
                return JSONResponse({}, 401)
            return await call_next(request)

        @self.app.post("/jobs", status_code=202)
        def submit(body: dict[str, Any], request: Request) -> dict[str, Any]:
            with self._lock:
                for job in self.jobs.values():
                    if job["idempotency_key"] == body["idempotency_key"]:
                        return self._shown(job)
                job = body | {"id": uuid.uuid4().hex, "attempts": 1, "created_at": "2026-11-21T00:00:00Z"}
                self.jobs[job["id"]] = job
                who = request.headers.get("x-vigie-on-behalf-of", "")
                self.submitted.append((body["step"], body["use_case"], body["options"], who))
                return self._shown(job)

        @self.app.get("/jobs/{job_id}")
        def one(job_id: str) -> dict[str, Any]:
            if job_id not in self.jobs:
                raise HTTPException(404)
            return self._shown(self.jobs[job_id])

        @self.app.get("/jobs")
        def newest() -> list[dict[str, Any]]:
            return [self._shown(job) for job in self.jobs.values()]

        @self.app.post("/jobs/{job_id}/retry")
        def retry(job_id: str) -> dict[str, Any]:
            self.jobs[job_id]["attempts"] += 1
            return self._shown(self.jobs[job_id])
