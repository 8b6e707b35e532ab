"""What happens at the same moment, on both databases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.core.audit.log import AuditEntryRow, verify_chain
from services.core.auth import tables
from services.core.auth.tables import CentreRow, RefreshTokenRow, SigningKeyRow, UserRow
from services.core.database.connection import Base
from services.core.errors import ConflictError
from services.gateway.audit.service import RequestOrigin
from services.gateway.auth import login_throttle
from services.gateway.auth.login import LoginFailed, LoginSucceeded
from services.gateway.container import GatewayContainer, build_container, prepare_database
from services.gateway.runs import store as runs_store
from services.gateway.users import service as users_service
from tests.gateways import CHEAP, PASSWORD, gateway_settings, make_gateway

HERE = RequestOrigin("192.0.2.1", "r1")


@pytest.fixture
def gateway(engine: Engine, tmp_path: Path) -> GatewayContainer:
    made: GatewayContainer = make_gateway(tmp_path, engine).state.gateway
    return made


def _at_once(number: int, work: Callable[[int], Any]) -> list[Any]:
    """The results of ``number`` threads that begin together."""
    together, results = threading.Barrier(number), [None] * number

    def run(index: int) -> None:
        together.wait()
        results[index] = work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_the_tables_and_the_migrations_agree(engine: Engine) -> None:
    ours = {value.__tablename__ for value in vars(tables).values() if hasattr(value, "__tablename__")}
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda found, name, kind, *_: (name if kind == "table" else found.table.name) in ours,
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_of_two_who_show_one_refresh_token_at_once_nobody_stays_signed_in(gateway: GatewayContainer) -> None:
    signed_in = asyncio.run(gateway.sign_in.with_password("admin", PASSWORD, HERE))
    assert isinstance(signed_in, LoginSucceeded)
    assert signed_in.refresh_token is not None
    token = signed_in.refresh_token
    results = _at_once(6, lambda _: gateway.sign_in.with_refresh_token(token, HERE))
    renewed = [found for found in results if isinstance(found, LoginSucceeded)]
    assert len(renewed) == 1
    assert renewed[0].refresh_token is not None
    assert isinstance(gateway.sign_in.with_refresh_token(renewed[0].refresh_token, HERE), LoginFailed)
    with Session(gateway.engine) as session:
        assert session.query(RefreshTokenRow).filter_by(revoked_at=None).count() == 0
        assert session.query(AuditEntryRow).filter_by(action="token.reused").count() == 1


def test_guesses_at_the_same_moment_gain_nothing(gateway: GatewayContainer) -> None:
    limits = login_throttle.LoginLimits(per_user=5, per_address=1_000)

    def guess(_: int) -> float:
        with gateway.transaction() as session:
            return login_throttle.begin_attempt(session, "admin", "192.0.2.1", limits, datetime.now(UTC))

    waits = _at_once(16, guess)
    assert sum(wait == 0 for wait in waits) == 5


def test_an_address_is_limited_at_the_same_moment_too(gateway: GatewayContainer) -> None:
    limits = login_throttle.LoginLimits(per_user=5, per_address=6)

    def guess(index: int) -> float:
        with gateway.transaction() as session:
            return login_throttle.begin_attempt(session, f"user{index}", "2001:db8::1", limits, datetime.now(UTC))

    assert sum(wait == 0 for wait in _at_once(16, guess)) == 6


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_an_address_is_one_host_or_one_network_of_a_customer(one: str, other: str, same: bool) -> None:
    assert (login_throttle.address_subject(one) == login_throttle.address_subject(other)) is same


def test_replicas_that_start_together_make_one_administrator_and_one_key(engine: Engine, tmp_path: Path) -> None:
    gateways = [build_container(gateway_settings(tmp_path), engine, hasher=CHEAP) for _ in range(4)]
    _at_once(4, lambda index: prepare_database(gateways[index]))
    with Session(engine) as session:
        assert session.query(UserRow).count() == 1
        assert session.query(SigningKeyRow).count() == 1
    with engine.connect() as connection:
        assert verify_chain(connection, gateways[0].trail.chain).intact


def test_a_centre_that_is_made_at_once_is_made_once_and_the_others_are_told(gateway: GatewayContainer) -> None:
    def make(_: int) -> str:
        with gateway.transaction() as session:
            try:
                return users_service.insert_centre(session, "north", "North").name
            except ConflictError:
                return "taken"

    assert sorted(_at_once(6, make)) == ["north", *["taken"] * 5]


def test_whoever_needs_a_centre_finds_it_though_others_make_it_at_the_same_moment(gateway: GatewayContainer) -> None:
    """Simulations that start together want keys of the same simulated centres."""

    def have(_: int) -> bool:
        with gateway.transaction() as session:
            users_service.ensure_centre(session, "simulated-north", "Simulated north")
            return session.get(CentreRow, "simulated-north") is not None

    assert _at_once(6, have) == [True] * 6


def test_the_same_run_asked_for_at_once_is_one(gateway: GatewayContainer) -> None:
    new = runs_store.NewRun("retrain", "toy", "stages", {"source": "none"}, "admin", "default", key="k" * 20)

    def ask(_: int) -> tuple[str, bool]:
        with gateway.transaction() as session:
            row, is_new = runs_store.insert_run(session, new, "owner")
            return row.id, is_new

    found = _at_once(6, ask)
    assert len({run_id for run_id, _ in found}) == 1
    assert [is_new for _, is_new in found].count(True) == 1


def test_a_run_is_claimed_by_one_gateway(gateway: GatewayContainer) -> None:
    with gateway.transaction() as session:
        row, _ = runs_store.insert_run(
            session, runs_store.NewRun("ingest", "toy", "stages", {}, "admin", "default"), ""
        )
        row.owned_until = None

    def claim(index: int) -> list[str]:
        with gateway.transaction() as session:
            return runs_store.claim_runs(session, f"gateway{index}")

    assert sorted(len(claimed) for claimed in _at_once(6, claim)) == [0, 0, 0, 0, 0, 1]
