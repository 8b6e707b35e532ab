"""The applications whose routes are walked with every role (tests/integration/core/auth).

A service joins by a function in ``SUBJECTS``: it makes the application on an empty home and says how one gets
good credentials for it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import FastAPI

from services.core.auth.credentials import SigningKey, SigningKeyRing, generate_api_key, issue_token
from services.core.auth.principal import Principal, Role
from services.core.auth.snapshot import ApiKeyEntry, AuthSnapshotDocument, JsonWebKeySet, Revocation, SnapshotFile
from services.core.auth.tables import ApiKeyRow
from services.core.jobs.options import JobSettings
from services.core.web.stage_service import create_stage_app
from services.gateway.auth import db_authenticator
from services.gateway.container import GatewayContainer
from services.gateway.users import service as users_service
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from services.simulator.app import create_app as simulator_app
from services.simulator.settings import SimulatorSettings
from tests.gateways import SERVICE_TOKEN as GATEWAY_SERVICE_TOKEN
from tests.gateways import make_gateway, sqlite_copy, sqlite_template
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

SERVICE_TOKEN = "service-token-of-the-walking-test"
CENTRE = "north"

Scope = frozenset[str] | None
"""The use cases that a credential is for; None stands for all."""


@dataclass(frozen=True)
class Subject:
    """``token`` and the others give a credential's text, a token each time another: a route may use it up."""

    app: FastAPI
    token: Callable[[Role, Scope], str]
    key: Callable[[Role, Scope], str]
    expired: Callable[[Role], str]
    revoked: Callable[[Role], str]
    service_token: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Values for parameters of paths; others get a name that nothing has."""
    verdicts: frozenset[str] = frozenset()
    """Public operations whose very answer is whether a caller is known."""
    close: Callable[[], object] = lambda: None


class Signed:
    """Tokens of one user, signed by ``signing``."""

    def __init__(self, signing: SigningKey, user: str = "u-1") -> None:
        self._signing = signing
        self._user = user

    def token(self, role: Role, scope: Scope, *, jti: str = "", age_seconds: float = 0.0) -> str:
        caller = Principal("user", self._user, "ada", role, CENTRE, None, scope)
        return issue_token(caller, self._signing, jti=jti or uuid.uuid4().hex, now=time.time() - age_seconds)[0]

    def expired(self, role: Role) -> str:
        return self.token(role, None, age_seconds=3_600)

    def revoked(self, role: Role) -> str:
        return self.token(role, None, jti="revoked")


def prediction(home: Path) -> Subject:
    """The prediction service of the toy use case, with its list on disk and no gateway to be reached."""
    signing = SigningKey.new(0.0)
    signed = Signed(signing)
    keys = {(role, scope): generate_api_key() for role in Role for scope in (None, frozenset({"another"}))}
    entries = [
        ApiKeyEntry(id=key.id, sha256=key.sha256, name="k", role=role, centre=CENTRE, use_cases=scope)
        for (role, scope), key in keys.items()
    ]
    given = {"VIGIE_HOME": home, "gateway_url": "http://127.0.0.1:9", "service_token": SERVICE_TOKEN}
    settings = PredictionSettings.model_validate(given)
    document = AuthSnapshotDocument(
        issued_at=datetime.now(UTC),
        jwks=JsonWebKeySet(**SigningKeyRing.of(signing).jwks(time.time())),
        keys=entries,
        revoked=[Revocation(jti="revoked")],
    )
    SnapshotFile(settings.home.access_list).save(document)
    app = create_app(settings, FolderRegistry, use_cases=[USE_CASE])
    app.state.authenticator.load_from_disk()
    return Subject(
        app, signed.token, lambda role, scope: keys[role, scope].text, signed.expired, signed.revoked, SERVICE_TOKEN
    )


def gateway(home: Path) -> Subject:
    """The gateway on SQLite, with one user whose tokens have any role."""
    engine = sqlite_copy(sqlite_template(home), home)
    app = make_gateway(home, engine)
    made: GatewayContainer = app.state.gateway
    now = datetime.now(UTC)
    with made.transaction() as session:
        user = users_service.find_user(session, users_service.FIRST_ADMIN)
        assert user is not None
        user_id = user.id
        db_authenticator.revoke_token(session, "revoked", now)
        texts: dict[tuple[Role, Scope], str] = {}
        for role in Role:
            for scope in (None, frozenset({"another"})):
                key = generate_api_key()
                texts[role, scope] = key.text
                session.add(
                    ApiKeyRow(
                        id=key.id,
                        name=f"{role} {key.id}",
                        sha256=key.sha256,
                        role=str(role),
                        centre=user.centre,
                        use_cases=sorted(scope) if scope is not None else None,
                        created=now,
                        created_by="admin",
                        expires_at=now + timedelta(days=1),
                        uses=0,
                    )
                )
    made.access.renew()
    signed = Signed(made.signing.current().signer(time.time()), user_id)
    return Subject(
        app,
        signed.token,
        lambda role, scope: texts[role, scope],
        signed.expired,
        signed.revoked,
        GATEWAY_SERVICE_TOKEN,
        verdicts=frozenset({"GET /auth/check"}),
        close=engine.dispose,
    )


def stage(home: Path) -> Subject:
    """What the three stage services share; the services' own credential is all that they take."""
    given = {"VIGIE_HOME": home, "service_token": SERVICE_TOKEN, "database_url": None}
    engine = sqlite_copy(sqlite_template(home), home)
    engine.dispose()
    url = engine.url.render_as_string()
    app = create_stage_app(
        "training", "Training", "nothing.runs", JobSettings.model_validate(given | {"database_url": url})
    )
    signed = Signed(SigningKey.new(0.0))
    return Subject(app, signed.token, lambda *_: generate_api_key().text, signed.expired, signed.revoked, SERVICE_TOKEN)


def simulator(home: Path) -> Subject:
    """Like a stage service, it takes the services' own credential alone."""
    app = simulator_app(SimulatorSettings.model_validate({"VIGIE_HOME": home, "service_token": SERVICE_TOKEN}))
    signed = Signed(SigningKey.new(0.0))
    return Subject(app, signed.token, lambda *_: generate_api_key().text, signed.expired, signed.revoked, SERVICE_TOKEN)


SUBJECTS: dict[str, Callable[[Path], Subject]] = {
    "prediction": prediction,
    "gateway": gateway,
    "stage": stage,
    "simulator": simulator,
}
