"""A locust file: one dispatch centre that asks for predictions at a steady rate through the edge.

Every answer is appended to ``VIGIE_LOAD_ANSWERS`` as one JSON line, so that a test can ask for each
request by its id. ``services.*`` is not imported here: locust patches sockets, and the caller is an
outsider."""

from __future__ import annotations

import itertools
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task

_answers = Path(os.environ["VIGIE_LOAD_ANSWERS"]).open("a", buffering=1)  # noqa: SIM115 - open for the whole run
_calls: list[dict[str, Any]] = json.loads(Path(os.environ["VIGIE_LOAD_CALLS"]).read_text())
_next_call = itertools.cycle(_calls)


class DispatchCentre(FastHttpUser):
    """``VIGIE_LOAD_RATE`` calls a second; a call without an answer within 15 s has failed."""

    wait_time = constant_throughput(float(os.environ.get("VIGIE_LOAD_RATE", "5")))
    network_timeout = 15.0
    connection_timeout = 15.0
    # A client that repeats by itself would hide what the platform lost.
    max_retries = 0

    @task
    def call(self) -> None:
        asked = next(_next_call)
        request_id = uuid.uuid4().hex
        headers = {"X-API-Key": os.environ["VIGIE_LOAD_KEY"], "X-Request-Id": request_id}
        begun = time.time()
        with self.client.post(
            asked["path"], json=asked["body"], headers=headers, name=asked["path"], catch_response=True
        ) as answer:
            said = ""
            if answer.status_code != 200:
                said = f"{answer.status_code}: {answer.error or (answer.text or '')[:200]}"
                answer.failure(said)
            else:
                answer.success()
        _answers.write(
            json.dumps(
                {
                    "at": begun,
                    "seconds": round(time.time() - begun, 4),
                    "request_id": request_id,
                    "path": asked["path"],
                    "failure": said,
                    "source": "" if said else answer.json()["source"],
                    "version": "" if said else answer.json()["model_version"],
                }
            )
            + "\n"
        )


@events.quitting.add_listener
def _exit_quietly(environment: Any, **_: Any) -> None:
    """Failures are for the test to judge, which reads them all."""
    environment.process_exit_code = 0
