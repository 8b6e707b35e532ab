"""A service that is killed in the middle of a job comes back to it; nothing of the first run is left."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.integration.core.jobs.conftest import Service, until
from tests.processes import at_work


class Family:
    """The processes of a job of the kind ``family``, from one start of it to the next."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._known: set[str] = set()

    def born(self) -> list[psutil.Process]:
        until(lambda: len(list(self._folder.iterdir())) == len(self._known) + 3)
        new = {path.name for path in self._folder.iterdir()} - self._known
        self._known |= new
        return [psutil.Process(int(name)) for name in new]


def _gone(family: list[psutil.Process]) -> bool:
    return not any(at_work(process) for process in family)


@pytest.mark.slow
def test_a_killed_service_comes_back_to_its_job(start: Callable[..., Service], tmp_path: Path) -> None:
    service, family = start(), Family(tmp_path / "family")
    posted = f"family {tmp_path / 'family'}"
    job = service.post(posted, key="killed-once")
    first = family.born()
    service.end(signal.SIGKILL)
    until(lambda: _gone(first))

    # It runs again by itself, once, and stays the job of its key.
    service.start()
    second = family.born()
    again = service.get(job)
    assert (again["state"], again["attempts"]) == ("running", 2)
    assert "attempt 1 was interrupted; the job runs again" in again["progress"]
    assert service.post(posted, key="killed-once")["id"] == job["id"]
    service.end(signal.SIGKILL)
    until(lambda: _gone(second))

    # Then it waits for somebody who asks for it again.
    service.start()
    ended = service.ended(job)
    assert (ended["state"], ended["attempts"]) == ("interrupted", 2)
    assert "Nothing of it was published" in ended["error"]["problem"]
    retried = service.client.post(f"/jobs/{job['id']}/retry")
    assert (retried.status_code, retried.json()["error"]) == (202, None)
    third = family.born()
    assert service.get(job)["attempts"] == 3

    assert service.client.delete(f"/jobs/{job['id']}").status_code == 202
    assert service.ended(job)["state"] == "cancelled"
    assert _gone(third)
    assert service.ended(service.post("succeed"))["state"] == "succeeded"
    assert 'vigie_jobs_ended_total{state="cancelled"' in service.client.get("/metrics").text
