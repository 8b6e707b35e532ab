"""Sign-in at an OpenID Connect provider of our own: roles from groups, and nothing that it did not sign."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi.testclient import TestClient

from services.gateway.auth import oidc

CLIENT, SECRET = "vigie-here", "a secret of the client"


class Provider:
    """An identity provider: one person, whose claims a test sets."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65_537, 2_048)
        self.claims: dict[str, Any] = {"sub": "17", "preferred_username": "Anna.B", "groups": ["ops"]}
        self.asked: dict[str, str] = {}
        self.address = ""

    def id_token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": self.asked["nonce"]}
        return jwt.encode(claims | self.claims, self.key, "RS256", headers={"kid": "one"})

    def jwks(self) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "one", "use": "sig"}]}


@pytest.fixture
def provider() -> Iterator[Provider]:
    served = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("openid-configuration"):
                paths = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
                self._answer({"issuer": served.address} | {k: served.address + path for k, path in paths.items()})
            else:
                self._answer(served.jwks())

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            verifier = form["code_verifier"][0]
            right = oidc_challenge(verifier) == served.asked["code_challenge"] and form["code"] == ["the-code"]
            self._answer(
                {"access_token": "x", "token_type": "Bearer", "id_token": served.id_token()}
                if right
                else {"error": "invalid_grant"},
                200 if right else 400,
            )

        def _answer(self, content: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()


def oidc_challenge(verifier: str) -> str:
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    return str(create_s256_code_challenge(verifier))


@pytest.fixture
def client(start: Callable[..., TestClient], provider: Provider) -> TestClient:
    return start(
        oidc_issuer=provider.address,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
        oidc_groups="dispatch=dispatcher:default,ops=operator:*",
    )


def _go_to_provider(client: TestClient, provider: Provider, page: str = "/board") -> str:
    """Begin, and return the state with which the provider sends the browser back."""
    answer = client.get("/auth/oidc/login", params={"next": page}, follow_redirects=False)
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    provider.asked = {name: values[0] for name, values in query.items()}
    assert (query["client_id"], query["response_type"], query["code_challenge_method"]) == (
        [CLIENT],
        ["code"],
        ["S256"],
    )
    return provider.asked["state"]


def _come_back(client: TestClient, state: str, code: str = "the-code") -> Any:
    return client.get("/auth/oidc/callback", params={"code": code, "state": state}, follow_redirects=False)


def _sign_in(client: TestClient, provider: Provider) -> Any:
    return _come_back(client, _go_to_provider(client, provider))


def test_the_sign_in_page_learns_that_there_is_a_provider(client: TestClient) -> None:
    assert client.get("/auth/methods").json() == {"password": True, "oidc": True}


def test_a_person_signs_in_with_the_role_of_the_group_and_comes_to_the_page(
    client: TestClient, provider: Provider
) -> None:
    answer = _sign_in(client, provider)
    assert answer.status_code == 200
    assert 'url=/board"' in answer.text
    me = client.get("/auth/me").json()
    assert (me["name"], me["role"], me["centre"], me["centres"], me["pending"]) == (
        "anna.b",
        "operator",
        "default",
        "*",
        "",
    )


def test_the_groups_decide_anew_at_each_sign_in(client: TestClient, provider: Provider) -> None:
    _sign_in(client, provider)
    provider.claims["groups"] = ["dispatch"]
    _sign_in(client, provider)
    me = client.get("/auth/me").json()
    assert (me["role"], me["centres"]) == ("dispatcher", [])


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"groups": []}, "none of your groups"),
        ({"groups": ["others"]}, "none of your groups"),
        ({"preferred_username": "admin"}, "a local user has the name"),
        ({"nonce": "another"}, "answers another request"),
        ({"aud": "somebody else"}, "ID token is not right"),
        ({"iss": "https://elsewhere.example"}, "ID token is not right"),
        ({"exp": 1_000_000_000}, "ID token is not right"),
    ],
)
def test_nobody_comes_in_without_a_group_a_name_and_a_token_of_their_own(
    client: TestClient, provider: Provider, claims: dict[str, Any], why: str
) -> None:
    provider.claims |= claims
    answer = _sign_in(client, provider)
    assert answer.status_code == 400
    assert why in answer.text
    assert client.get("/auth/me").status_code == 401


def test_a_token_that_another_key_signed_is_refused(client: TestClient, provider: Provider) -> None:
    state = _go_to_provider(client, provider)
    published = provider.jwks()
    provider.key = rsa.generate_private_key(65_537, 2_048)
    provider.jwks = lambda: published  # type: ignore[method-assign]
    assert _come_back(client, state).status_code == 400


def test_a_state_of_another_browser_is_refused(client: TestClient, provider: Provider) -> None:
    state = _go_to_provider(client, provider)
    assert _come_back(client, "another-state").status_code == 400
    client.cookies.clear()
    assert _come_back(client, state).status_code == 400


def test_a_code_that_the_provider_does_not_know_is_refused(client: TestClient, provider: Provider) -> None:
    assert _come_back(client, _go_to_provider(client, provider), code="stolen").status_code == 400


def test_a_user_who_is_switched_off_here_stays_out(client: TestClient, provider: Provider) -> None:
    _sign_in(client, provider)
    gateway = client.app.state.gateway  # type: ignore[attr-defined]
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET active = 0 WHERE name = 'anna.b'")
    assert _sign_in(client, provider).status_code == 400


def test_a_link_leads_to_no_other_site(client: TestClient, provider: Provider) -> None:
    state = _go_to_provider(client, provider, "https://elsewhere.example/")
    assert 'url=/"' in _come_back(client, state).text


@pytest.mark.parametrize("text", ["ops", "ops=chief", "=admin"])
def test_a_wrong_mapping_is_refused_when_the_gateway_starts(text: str) -> None:
    with pytest.raises(ValueError, match="group=role"):
        oidc.parse_grants(text)
