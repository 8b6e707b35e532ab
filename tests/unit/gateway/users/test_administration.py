"""Users, centres and keys: nobody gives more than they have, or sees what is not theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from services.core.audit.log import AuditFilter, query_entries
from services.core.auth.tables import ApiKeyRow
from services.gateway.container import GatewayContainer
from tests.gateways import PASSWORD, SERVICE_TOKEN

Headers = dict[str, str]
SERVICE = {"Authorization": f"Bearer {SERVICE_TOKEN}"}


@pytest.fixture
def north(client: TestClient, admin: Headers) -> Headers:
    """An administrator of the centre ``north`` alone."""
    for name in ("north", "south"):
        assert client.post("/admin/centres", json={"name": name}, headers=admin).status_code == 201
    return _user(client, admin, "nora", role="admin", centre="north")


def _user(client: TestClient, by: Headers, name: str, **given: Any) -> Headers:
    """Headers of a new user."""
    made = client.post("/admin/users", json={"name": name, "password": PASSWORD} | given, headers=by)
    assert made.status_code == 201, made.text
    first = _sign_in(client, name, PASSWORD)
    changed = client.post("/auth/password", json={"current": PASSWORD, "new": PASSWORD[::-1]}, headers=first)
    return {"Authorization": f"Bearer {changed.json()['access_token']}"}


def _sign_in(client: TestClient, name: str, password: str) -> Headers:
    form = {"grant_type": "password", "username": name, "password": password}
    return {"Authorization": f"Bearer {client.post('/auth/token', data=form).json()['access_token']}"}


def _key(client: TestClient, by: Headers, **given: Any) -> dict[str, Any]:
    made = client.post("/admin/keys", json={"name": "desk", "centre": "default"} | given, headers=by)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def test_a_password_that_was_made_is_shown_once(client: TestClient, admin: Headers) -> None:
    made = client.post("/admin/users", json={"name": "eve", "role": "viewer", "centre": "default"}, headers=admin)
    assert len(made.json()["password"]) >= 20
    assert made.json()["user"]["must_change_password"] is True
    assert made.json()["password"] not in client.get("/admin/users", headers=admin).text


@pytest.mark.parametrize(
    "password", ["123456789012", "passwordpassword", "azertyuiop12", "evelyn-evelyn-evelyn", "aaaaaaaaaaaaaaaa"]
)
def test_a_password_that_is_easy_to_guess_is_refused(client: TestClient, admin: Headers, password: str) -> None:
    body = {"name": "evelyn", "role": "viewer", "centre": "default", "password": password}
    answer = client.post("/admin/users", json=body, headers=admin)
    assert answer.status_code == 400
    assert "easy to guess" in answer.text


def test_with_a_first_password_one_changes_it_and_does_nothing_else(client: TestClient, admin: Headers) -> None:
    body = {"name": "eve", "role": "admin", "centre": "default", "centres": "*", "password": PASSWORD}
    assert client.post("/admin/users", json=body, headers=admin).status_code == 201
    first = _sign_in(client, "eve", PASSWORD)
    for method, path in (
        ("GET", "/admin/users"),
        ("GET", "/auth/check"),
        ("POST", "/admin/freeze"),
        ("GET", "/admin/alerts"),
    ):
        answer = client.request(method, path, json={"reason": "flood"} if method == "POST" else None, headers=first)
        assert (answer.status_code, answer.json()["errors"][0]["type"]) == (403, "password_change_required"), path
    assert client.get("/auth/me", headers=first).json()["must_change_password"] is True
    same = client.post("/auth/password", json={"current": PASSWORD, "new": PASSWORD}, headers=first)
    assert same.status_code == 400
    changed = client.post("/auth/password", json={"current": PASSWORD, "new": PASSWORD[::-1]}, headers=first)
    later = {"Authorization": f"Bearer {changed.json()['access_token']}"}
    assert client.get("/admin/users", headers=later).status_code == 200
    assert client.get("/auth/check", headers=_sign_in(client, "eve", PASSWORD[::-1])).status_code == 204


@pytest.mark.parametrize(
    "given",
    [
        {"centre": "south"},
        {"centre": "north", "centres": ["south"]},
        {"centre": "north", "centres": "*"},
    ],
)
def test_an_administrator_of_one_centre_makes_nobody_of_another(
    client: TestClient, north: Headers, given: dict[str, Any]
) -> None:
    body = {"name": "eve", "role": "viewer"} | given
    assert client.post("/admin/users", json=body, headers=north).status_code == 403


def test_an_administrator_of_one_centre_sees_and_touches_its_people_alone(
    client: TestClient, admin: Headers, north: Headers
) -> None:
    _user(client, admin, "sue", role="viewer", centre="south")
    assert [user["name"] for user in client.get("/admin/users", headers=north).json()] == ["nora"]
    assert client.patch("/admin/users/sue", json={"active": False}, headers=north).status_code == 404
    assert client.post("/admin/users/admin/password", json={}, headers=north).status_code == 404
    assert [centre["name"] for centre in client.get("/admin/centres", headers=north).json()] == ["north"]


def test_nobody_takes_over_somebody_with_more_rights_in_their_own_centre(
    client: TestClient, admin: Headers, north: Headers
) -> None:
    _user(client, admin, "boss", role="admin", centre="north", centres="*")
    assert client.post("/admin/users/boss/password", json={}, headers=north).status_code == 403
    assert client.patch("/admin/users/boss", json={"active": False}, headers=north).status_code == 403
    assert client.patch("/admin/users/nora", json={"centres": "*"}, headers=north).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/admin/signing-keys/rotate"), ("GET", "/admin/signing-keys"), ("POST", "/admin/centres")],
)
def test_what_concerns_all_centres_needs_an_administrator_of_all(
    client: TestClient, north: Headers, method: str, path: str
) -> None:
    body = {"name": "west"} if path.endswith("centres") else {}
    answer = client.request(method, path, json=body if method == "POST" else None, headers=north)
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (403, "centre")


def test_a_change_of_role_counts_at_once(client: TestClient, admin: Headers) -> None:
    eve = _user(client, admin, "eve", role="operator", centre="default")
    assert client.get("/admin/jobs", headers=eve).status_code != 401
    client.patch("/admin/users/eve", json={"role": "viewer"}, headers=admin)
    assert client.get("/auth/me", headers=eve).status_code == 401


def test_a_user_who_may_not_sign_in_any_more_is_out_at_once(client: TestClient, admin: Headers) -> None:
    eve = _user(client, admin, "eve", role="viewer", centre="default")
    client.patch("/admin/users/eve", json={"active": False}, headers=admin)
    assert client.get("/auth/me", headers=eve).status_code == 401
    form = {"grant_type": "password", "username": "eve", "password": PASSWORD}
    assert client.post("/auth/token", data=form).status_code == 400


@pytest.mark.parametrize("change", [{"active": False}, {"role": "viewer"}, {"centres": []}])
def test_the_last_administrator_of_all_centres_stays(
    client: TestClient, admin: Headers, change: dict[str, Any]
) -> None:
    assert client.patch("/admin/users/admin", json=change, headers=admin).status_code == 409
    assert client.get("/auth/me", headers=admin).status_code == 200


def test_a_password_set_anew_ends_sign_ins_and_a_pause(client: TestClient, admin: Headers) -> None:
    eve = _user(client, admin, "eve", role="viewer", centre="default")
    form = {"grant_type": "password", "username": "eve", "password": "wrong"}
    for _ in range(5):
        client.post("/auth/token", data=form)
    made = client.post("/admin/users/eve/password", json={}, headers=admin).json()
    assert client.get("/auth/me", headers=eve).status_code == 401
    assert client.post("/auth/token", data=form | {"password": made["password"]}).status_code == 200


def test_registration_is_off(client: TestClient) -> None:
    answer = client.post("/auth/register", json={"username": "eve", "password": PASSWORD})
    assert answer.status_code == 403
    assert "switched off" in answer.json()["errors"][0]["reason"]


def test_where_registration_is_on_new_users_are_viewers(start: Callable[..., TestClient]) -> None:
    client = start(gateway_registration=True, gateway_login_per_address=3)
    made = client.post("/auth/register", json={"username": "Eve", "password": PASSWORD})
    assert (made.status_code, made.json()["role"], made.json()["centres"]) == (201, "viewer", [])
    assert client.post("/auth/register", json={"username": "eve", "password": PASSWORD}).status_code == 409
    client.post("/auth/register", json={"username": "eve3", "password": PASSWORD})
    assert client.post("/auth/register", json={"username": "eve4", "password": PASSWORD}).status_code == 429


def test_a_key_is_shown_once_and_stored_as_a_hash(
    client: TestClient, gateway: GatewayContainer, admin: Headers
) -> None:
    made = _key(client, admin)
    assert made["text"].startswith(f"vig_{made['key']['id']}_")
    assert made["text"] not in client.get("/admin/keys", headers=admin).text
    with Session(gateway.engine) as session:
        assert made["text"][17:] not in str(vars(session.query(ApiKeyRow).one()))


def test_a_key_opens_what_its_role_may_at_once(client: TestClient, admin: Headers) -> None:
    key = _key(client, admin, role="operator", use_cases=["fire_response"])
    headers = {"X-API-Key": key["text"]}
    assert client.get("/auth/me", headers=headers).json()["use_cases"] == ["fire_response"]
    body = {"use_case": "road_accidents"}
    assert client.post("/admin/ingestions", json=body, headers=headers).status_code == 403


def test_a_revoked_key_stops_at_once_and_so_do_its_tokens(client: TestClient, admin: Headers) -> None:
    key = _key(client, admin)
    form = {"grant_type": "client_credentials", "client_id": key["key"]["id"], "client_secret": key["text"]}
    token = client.post("/auth/token", data=form).json()
    assert "refresh_token" not in token
    assert client.get("/auth/me", headers={"Authorization": f"Bearer {token['access_token']}"}).status_code == 200
    client.delete(f"/admin/keys/{key['key']['id']}", headers=admin)
    assert client.get("/auth/me", headers={"X-API-Key": key["text"]}).status_code == 401
    assert client.get("/auth/me", headers={"Authorization": f"Bearer {token['access_token']}"}).status_code == 401
    assert client.post("/auth/token", data=form).json()["error"] == "invalid_client"


def test_a_key_is_taken_as_http_basic_too(client: TestClient, admin: Headers) -> None:
    key = _key(client, admin)
    answer = client.post("/auth/token", data={"grant_type": "client_credentials"}, auth=(key["key"]["id"], key["text"]))
    assert answer.status_code == 200


def test_a_rotated_key_and_its_successor_work_side_by_side_for_a_while(client: TestClient, admin: Headers) -> None:
    old = _key(client, admin)
    path = f"/admin/keys/{old['key']['id']}/rotate"
    new = client.post(path, json={"overlap_hours": 2}, headers=admin).json()
    for text in (old["text"], new["text"]):
        assert client.get("/auth/me", headers={"X-API-Key": text}).status_code == 200
    assert new["key"]["rotated_from"] == old["key"]["id"]
    listed = {key["id"]: key for key in client.get("/admin/keys", headers=admin).json()}
    assert listed[old["key"]["id"]]["expires_at"] < listed[new["key"]["id"]]["expires_at"]


def test_without_an_overlap_the_old_key_ends(client: TestClient, admin: Headers) -> None:
    old = _key(client, admin)
    client.post(f"/admin/keys/{old['key']['id']}/rotate", json={"overlap_hours": 0}, headers=admin)
    assert client.get("/auth/me", headers={"X-API-Key": old["text"]}).status_code == 401


def test_the_last_use_of_a_key_is_visible(client: TestClient, gateway: GatewayContainer, admin: Headers) -> None:
    key = _key(client, admin)["key"]["id"]
    use = {"id": key, "last_used_at": "2026-11-21T10:00:00Z", "uses": 5}
    assert client.post("/internal/key-usage", json=[use], headers=SERVICE).status_code == 204
    earlier = use | {"last_used_at": "2026-11-20T10:00:00Z", "uses": 2}
    client.post("/internal/key-usage", json=[earlier, earlier | {"id": "unknown"}], headers=SERVICE)
    (shown,) = client.get("/admin/keys", headers=admin).json()
    assert (shown["uses"], shown["last_used_at"]) == (7, "2026-11-21T10:00:00Z")


def test_keys_of_other_centres_are_not_seen_or_touched(client: TestClient, admin: Headers, north: Headers) -> None:
    key = _key(client, admin)["key"]["id"]
    assert client.get("/admin/keys", headers=north).json() == []
    assert client.delete(f"/admin/keys/{key}", headers=north).status_code == 404
    assert client.post("/admin/keys", json={"name": "x", "centre": "default"}, headers=north).status_code == 403


def test_the_access_list_holds_keys_in_force_and_what_was_revoked(client: TestClient, admin: Headers) -> None:
    kept, gone = _key(client, admin), _key(client, admin)
    client.delete(f"/admin/keys/{gone['key']['id']}", headers=admin)
    client.post("/auth/logout", headers=admin)
    found = client.get("/internal/access-list", headers=SERVICE).json()
    assert [key["id"] for key in found["keys"]] == [kept["key"]["id"]]
    assert found["revoked"][0]["jti"]
    assert kept["text"] not in str(found)


def test_entries_of_other_services_are_stored_once(client: TestClient, admin: Headers) -> None:
    entry = {"id": "0123456789abcdef", "time": "2026-11-21T10:00:00Z", "service": "training", "action": "model.kept"}
    answers = [client.post("/internal/audit", json=[entry], headers=SERVICE).json() for _ in range(2)]
    assert answers == [{"stored": 1}, {"stored": 0}]
    found = client.get("/admin/audit", params={"action": "model.*"}, headers=admin).json()["entries"]
    assert [(e["service"], e["time"]) for e in found] == [("training", "2026-11-21T10:00:00Z")]


def test_the_log_is_read_in_pages_and_by_filters(client: TestClient, admin: Headers) -> None:
    for number in range(5):
        _key(client, admin, name=f"desk {number}")
    first = client.get("/admin/audit", params={"action": "key.created", "limit": 3}, headers=admin).json()
    second = client.get(
        "/admin/audit",
        params={"action": "key.created", "limit": 3, "before": first["next_before"]},
        headers=admin,
    ).json()
    names = [entry["details"]["name"] for entry in first["entries"] + second["entries"]]
    assert names == [f"desk {number}" for number in range(4, -1, -1)]
    assert second["next_before"] is None
    for params, expected in (
        ({"actor": "admin", "action": "key.*"}, 5),
        ({"actor": "nobody"}, 0),
        ({"outcome": "refused"}, 0),
        ({"from": "2100-01-01T00:00:00Z"}, 0),
        ({"to": "2000-01-01T00:00:00Z"}, 0),
    ):
        assert len(client.get("/admin/audit", params=params, headers=admin).json()["entries"]) == expected, params


def test_an_administrator_of_one_centre_reads_its_part_of_the_log(
    client: TestClient, admin: Headers, north: Headers
) -> None:
    centres = {entry["centre"] for entry in client.get("/admin/audit", headers=north).json()["entries"]}
    assert centres == {"north"}


def test_every_change_stands_in_the_log_with_who_where_from_and_which_request(
    client: TestClient, gateway: GatewayContainer, admin: Headers
) -> None:
    _key(client, admin | {"X-Request-Id": "request-17"})
    with gateway.engine.connect() as connection:
        (entry,) = query_entries(connection, AuditFilter(action="key.created"), 10)
    assert (entry["actor_name"], entry["address"], entry["request_id"]) == ("admin", "testclient", "request-17")
    assert entry["centre"] == "default"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/admin/freeze", {"reason": "flood"}),
        ("DELETE", "/admin/freeze", None),
        ("POST", "/admin/models/wine_quality/promote", {"version": 1}),
        ("POST", "/admin/models/wine_quality/rollback", {}),
        ("POST", "/admin/retrainings/0123/approve", None),
        ("POST", "/admin/retrainings/0123/reject", None),
    ],
)
def test_what_changes_models_for_all_needs_rights_for_all_centres(
    client: TestClient, north: Headers, method: str, path: str, body: Any
) -> None:
    answer = client.request(method, path, json=body, headers=north)
    assert (answer.status_code, answer.json()["errors"][0]["allowed"]) == (403, "centres *")


def test_an_ended_token_adds_nothing_to_the_log(client: TestClient, gateway: GatewayContainer) -> None:
    form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
    tokens = client.post("/auth/token", data=form).json()
    for _ in range(3):
        for kind in ("access_token", "refresh_token"):
            assert client.post("/auth/revoke", data={"token": tokens[kind]}).status_code == 200
        client.post("/auth/logout", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    with gateway.engine.connect() as connection:
        ended = [e["action"] for e in query_entries(connection, AuditFilter(), 50) if e["action"] != "login.ok"]
    assert [action for action in ended if action.startswith(("token.", "login."))] == ["token.revoked"] * 2


@pytest.mark.parametrize("name", ["de\r\nsk", "a\x00b", "li\u2028ne", "\x7f"])
def test_a_key_has_a_printable_name(client: TestClient, admin: Headers, name: str) -> None:
    made = client.post("/admin/keys", json={"name": name, "centre": "default"}, headers=admin)
    assert made.status_code == 422


def test_a_key_is_not_taken_for_the_user_of_its_name_by_what_trusts_the_edge(
    client: TestClient, admin: Headers
) -> None:
    made = _key(client, admin, name="admin")
    answer = client.get("/auth/check", headers={"X-API-Key": made["text"]})
    assert answer.headers["x-vigie-user"] == f"key:{made['key']['id']}"


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"from": "0001-01-01T00:00:00+14:00"}, 422),
        ({"to": "9999-12-31T23:59:59-14:00"}, 422),
        ({"before": 10**23}, 422),
        ({"before": 2**63}, 422),
        ({"before": 2**63 - 1}, 200),
        ({"from": "1970-01-01T00:00:00Z", "to": "2199-12-31T00:00:00Z"}, 200),
    ],
)
def test_moments_and_numbers_of_the_log_are_bounded(
    client: TestClient, admin: Headers, params: dict[str, Any], status: int
) -> None:
    assert client.get("/admin/audit", params=params, headers=admin).status_code == status


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "2199-01-01T00:00:00Z", "2020-01-01T00:00:00Z"])
def test_a_key_expires_in_the_future_and_within_ten_years(client: TestClient, admin: Headers, moment: str) -> None:
    body = {"name": "desk", "centre": "default", "expires_at": moment}
    assert client.post("/admin/keys", json=body, headers=admin).status_code in {400, 422}


def test_the_public_document_has_no_routes_between_services(client: TestClient) -> None:
    paths = client.get("/auth/openapi.json").json()["paths"]
    assert paths
    assert not [path for path in paths if path.startswith("/internal/")]


def test_a_freeze_is_lifted_by_an_administrator_alone(client: TestClient, admin: Headers) -> None:
    operator = _user(client, admin, "otto", role="operator", centre="default", centres="*")
    assert client.post("/admin/freeze", json={"reason": "flood"}, headers=operator).status_code == 200
    assert client.delete("/admin/freeze", headers=operator).status_code == 403
    assert client.get("/admin/freeze", headers=operator).json()["by"] == "otto"
    assert client.delete("/admin/freeze", headers=admin).json()["frozen"] is False
    assert client.delete("/admin/freeze", headers=admin).status_code == 409
