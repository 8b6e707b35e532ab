"""The emergency stop: who may use it, what the services learn of it, and what the audit log holds."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.core.audit.log import AuditFilter, query_entries
from services.core.use_case_registry import list_use_cases
from services.gateway.container import GatewayContainer
from tests.gateways import PASSWORD, SERVICE_TOKEN

Headers = dict[str, str]
USE_CASE = list_use_cases()[0]
TARGET = USE_CASE.modelling.targets[0].name


def _listed(client: TestClient) -> tuple[list[dict[str, Any]], list[str]]:
    """What the services that answer calls are given."""
    found = client.get("/internal/access-list", headers={"Authorization": f"Bearer {SERVICE_TOKEN}"}).json()
    return found["withdrawn"], found["lifted"]


def _withdraw(client: TestClient, by: Headers, **given: Any) -> Any:
    return client.post(
        "/admin/withdrawals", json={"use_case": USE_CASE.name, "reason": "wrong by hours"} | given, headers=by
    )


def _entries(gateway: GatewayContainer) -> list[dict[str, Any]]:
    with gateway.transaction() as session:
        return query_entries(session.connection(), AuditFilter(action="advice.*"), 10)


def _user(client: TestClient, admin: Headers, name: str, **given: Any) -> Headers:
    body = {"name": name, "password": PASSWORD, "centre": "default", "role": "operator"} | given
    assert client.post("/admin/users", json=body, headers=admin).status_code == 201
    form = {"grant_type": "password", "username": name, "password": PASSWORD}
    first = {"Authorization": f"Bearer {client.post('/auth/token', data=form).json()['access_token']}"}
    changed = client.post("/auth/password", json={"current": PASSWORD, "new": PASSWORD[::-1]}, headers=first)
    return {"Authorization": f"Bearer {changed.json()['access_token']}"}


def test_a_withdrawal_is_listed_for_the_services_until_it_is_lifted(
    client: TestClient, admin: Headers, gateway: GatewayContainer
) -> None:
    made = _withdraw(client, admin, target=TARGET, version=3)
    assert made.status_code == 201, made.text
    assert _listed(client) == ([made.json()], [])
    assert client.get("/admin/withdrawals", headers=admin).json() == [made.json()]
    number = made.json()["id"]
    lifted = client.delete(f"/admin/withdrawals/{number}?reason=mended", headers=admin)
    assert lifted.status_code == 204, lifted.text
    assert _listed(client) == ([], [number])
    assert client.get("/admin/withdrawals", headers=admin).json() == []
    restored, withdrawn = _entries(gateway)
    assert (withdrawn["action"], withdrawn["actor_name"], withdrawn["use_case"]) == (
        "advice.withdrawn", "admin", USE_CASE.name,
    )  # fmt: skip
    assert withdrawn["details"] == {"id": number, "reason": "wrong by hours"}
    assert withdrawn["target"] == f"target {TARGET}, version 3"
    assert (restored["action"], restored["details"]["reason"]) == ("advice.restored", "mended")


def test_what_is_withdrawn_twice_is_restored_by_one_lifting(client: TestClient, admin: Headers) -> None:
    first, second = _withdraw(client, admin), _withdraw(client, admin, reason="me too")
    assert first.json() == second.json()


def test_a_withdrawal_that_a_lost_database_forgot_can_be_lifted(
    client: TestClient, admin: Headers, gateway: GatewayContainer
) -> None:
    number = "0123456789abcdef" * 2
    for _ in range(2):
        assert client.delete(f"/admin/withdrawals/{number}", headers=admin).status_code == 204
    assert _listed(client) == ([], [number])
    assert _entries(gateway)[0]["target"] == f"withdrawal {number}"


@pytest.mark.parametrize(
    ("given", "status"),
    [({"target": "nothing"}, 400), ({"use_case": "nothing"}, 400), ({"reason": " "}, 422), ({"version": 0}, 422)],
)
def test_what_cannot_be_withdrawn_is_refused(
    client: TestClient, admin: Headers, given: dict[str, Any], status: int
) -> None:
    assert _withdraw(client, admin, **given).status_code == status
    assert _listed(client) == ([], [])


@pytest.mark.parametrize("account", [{"role": "dispatcher", "centres": "*"}, {"role": "operator"}])
def test_only_operators_of_all_centres_withdraw_and_restore(
    client: TestClient, admin: Headers, gateway: GatewayContainer, account: dict[str, Any]
) -> None:
    number = _withdraw(client, admin).json()["id"]
    other = _user(client, admin, "eve", **account)
    assert _withdraw(client, other, target=TARGET).status_code == 403
    assert client.delete(f"/admin/withdrawals/{number}", headers=other).status_code == 403
    assert len(_listed(client)[0]) == 1
    assert len(_entries(gateway)) == 1
