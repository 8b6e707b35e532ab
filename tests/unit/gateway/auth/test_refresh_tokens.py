"""A refresh token that is shown twice, by two who do not see the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from services.gateway.audit.service import RequestOrigin
from services.gateway.auth import session_store
from services.gateway.auth.login import LoginSucceeded
from services.gateway.container import GatewayContainer
from tests.gateways import PASSWORD

NO_GRACE, SOME = timedelta(0), timedelta(seconds=10)


@pytest.mark.parametrize(("grace", "ended"), [(NO_GRACE, True), (SOME, False)])
def test_whoever_looked_at_the_clock_before_the_other_used_it_is_second_all_the_same(
    gateway: GatewayContainer, grace: timedelta, ended: bool
) -> None:
    """PostgreSQL lets one wait for the other's row, with a time read before."""
    signed_in = asyncio.run(gateway.sign_in.with_password("admin", PASSWORD, RequestOrigin("192.0.2.1", "r1")))
    assert isinstance(signed_in, LoginSucceeded)
    assert signed_in.refresh_token is not None
    lives, now = gateway.sign_in.lifetimes, datetime.now(UTC)
    earlier = now - timedelta(milliseconds=5)
    with Session(gateway.engine) as session, session.begin():
        assert isinstance(
            session_store.rotate_refresh_token(session, signed_in.refresh_token, lives, now, grace),
            session_store.RenewedSession,
        )
    with Session(gateway.engine) as session, session.begin():
        second = session_store.rotate_refresh_token(session, signed_in.refresh_token, lives, earlier, grace)
    assert isinstance(second, session_store.RenewalFailed)
    assert (second.reused_by is not None, second.just_now) == (ended, not ended)
