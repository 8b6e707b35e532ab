"""A gateway that shuts down stops its orchestrator."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fastapi import FastAPI

from services.gateway.container import GatewayContainer
from services.gateway.runs import orchestrator as running
from services.gateway.runs import store
from services.gateway.runs.orchestrator import RunOrchestrator


def test_runs_are_let_go_even_if_a_new_one_comes_at_the_same_moment(
    prepared: tuple[FastAPI, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = prepared[0]
    monkeypatch.setattr(running, "CLAIM_SECONDS", 60.0)

    async def stopped() -> bool:
        runner = RunOrchestrator(app.state.gateway, app.state.runner.stages, None)
        task = asyncio.create_task(runner.run())
        await asyncio.sleep(0.5)  # it has looked for runs, and waits
        runner.wake()
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        task.cancel()
        return bool(done) and task.cancelled()

    assert asyncio.run(stopped())


def test_a_renewal_that_comes_after_the_release_does_not_hold_the_run(gateway: GatewayContainer) -> None:
    """The gateway that takes over need not wait until the lease of the one that stopped has run out."""
    new = store.NewRun(
        kind="retrain", use_case="toy", backend="stages", options={}, requested_by="ada", centre="", key="k" * 8
    )
    with gateway.transaction() as session:
        row, _ = store.insert_run(session, new, "stopped")
        store.release_runs(session, "stopped")
        assert not store.renew_lease(session, row.id, "stopped")
        assert store.claim_runs(session, "next") == [row.id]
