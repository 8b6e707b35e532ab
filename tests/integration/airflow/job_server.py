"""A stage service's jobs over HTTP, in this process: the interface of ``services/core/jobs`` with an outcome per
attempt that the test chooses."""

from __future__ import annotations

import socket
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

TOKEN = "t" * 40
RUNNING: dict[str, Any] = {"state": "running"}


def running_then(outcome: dict[str, Any]) -> dict[str, Any]:
    """Still running when it is started, done when it is asked for."""
    return {"state": "running", "then": outcome}


def succeeded(**result: Any) -> dict[str, Any]:
    return {"state": "succeeded", "result": result}


def failed(problem: str, log_tail: str = "") -> dict[str, Any]:
    error = {"problem": problem, "expected": "a file with a header", "action": "Send the file again."}
    return {"state": "failed", "error": error, "log_tail": log_tail}


@dataclass
class JobServer:
    """``script`` gives, step by step, what each attempt of a job comes to; the last one repeats."""

    port: int = 0
    script: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(lambda: [succeeded()]))
    in_turn: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What the step's first, second, ... job comes to, where that differs from job to job."""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def steps(self) -> list[str]:
        return [job["step"] for job in self.jobs.values()]

    def only_job(self) -> dict[str, Any]:
        (job,) = self.jobs.values()
        return job

    def forget(self) -> None:
        for kept in (self.script, self.in_turn, self.jobs, self.requests):
            kept.clear()

    def start(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app(), log_level="error", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def known(request: Request, call_next: Any) -> Any:
            self.requests.append((request.method, request.url.path, dict(request.headers)))
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                fault = {
                    "field": "",
                    "reason": "No credential.",
                    "allowed": "the service token",
                    "type": "unauthorized",
                }
                return JSONResponse({"errors": [fault], "request_id": "r"}, 401)
            return await call_next(request)

        @app.post("/jobs", status_code=202)
        async def submit(body: dict[str, Any]) -> dict[str, Any]:
            same = [job for job in self.jobs.values() if job["idempotency_key"] == body["idempotency_key"]]
            if same:
                return same[0]
            job = {"id": uuid4().hex, "attempts": 1, **body}
            self.jobs[job["id"]] = job
            return self._attempt(job)

        @app.get("/jobs/{job_id}")
        async def get(job_id: str) -> dict[str, Any]:
            job = self._job(job_id)
            job.update(job.pop("then", {}))
            return job

        @app.delete("/jobs/{job_id}", status_code=202)
        async def cancel(job_id: str) -> dict[str, Any]:
            job = self._job(job_id)
            job["state"] = "cancelled"
            return job

        @app.post("/jobs/{job_id}/retry", status_code=202)
        async def retry(job_id: str) -> dict[str, Any]:
            job = self._job(job_id)
            job["attempts"] += 1
            return self._attempt(job)

        return app

    def _job(self, job_id: str) -> dict[str, Any]:
        if job_id not in self.jobs:
            raise HTTPException(404)
        return self.jobs[job_id]

    def _attempt(self, job: dict[str, Any]) -> dict[str, Any]:
        plan = self.script[job["step"]]
        chosen = plan[min(job["attempts"], len(plan)) - 1]
        if turns := self.in_turn.get(job["step"]):
            chosen = turns.pop(0)
        job.update({"log_tail": "", "result": None, "error": None, **chosen})
        return job
