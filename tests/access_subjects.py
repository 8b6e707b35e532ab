"""The applications whose routes are walked with every role (tests/integration/access).

A service joins by a function in ``SUBJECTS``: it makes the application on an empty home and says how one gets
good credentials for it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI

from services.core.access.access_list import AccessListDocument, KeyEntry, Revocation
from services.core.access.caller import Caller
from services.core.access.keys import new_key
from services.core.access.list_file import ListFile
from services.core.access.roles import Role
from services.core.access.signing_keys import SigningKey, SigningKeys
from services.core.access.tokens import issue
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

SERVICE_TOKEN = "service-token-of-the-walking-test"

Scope = frozenset[str] | None
"""The use cases that a credential is for; None stands for all."""


@dataclass(frozen=True)
class Subject:
    """``token``, ``key`` and the others give a good credential's text, new each time: a route may use it up."""

    app: FastAPI
    token: Callable[[Role, Scope], str]
    key: Callable[[Role, Scope], str] | None = None
    expired: Callable[[Role], str] | None = None
    revoked: Callable[[Role], str] | None = None
    service_token: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Values for parameters of paths; others get a name that nothing has."""
    close: Callable[[], object] = lambda: None


def prediction(home: Path) -> Subject:
    """The prediction service of the toy use case, with its list on disk and no gateway to be reached."""
    signing = SigningKey.new(0.0)
    keys = {(role, scope): new_key() for role in Role for scope in (None, frozenset({"another"}))}
    entries = [
        KeyEntry(id=key.id, sha256=key.sha256, name="k", role=role, centre="north", use_cases=scope)
        for (role, scope), key in keys.items()
    ]
    now = time.time()

    def token(role: Role, scope: Scope, *, jti: str = "", at: float = now) -> str:
        caller = Caller("user", f"u-{role}", "Ada", role, "north", frozenset(), scope)
        return issue(caller, signing, jti=jti or uuid.uuid4().hex, now=at)[0]

    given = {"VIGIE_HOME": home, "gateway_url": "http://127.0.0.1:9", "service_token": SERVICE_TOKEN}
    settings = PredictionSettings.model_validate(given)
    ListFile(settings.home.access_list).save(
        AccessListDocument(
            issued_at=datetime.now(UTC),
            jwks=SigningKeys.of(signing).jwks(now),
            keys=entries,
            revoked=[Revocation(jti="revoked")],
        )
    )
    app = create_app(settings, FolderRegistry, use_cases=[USE_CASE])
    app.state.verifier.load_from_disk()
    return Subject(
        app,
        token,
        key=lambda role, scope: keys[role, scope].text,
        expired=lambda role: token(role, None, at=now - 3_600),
        revoked=lambda role: token(role, None, jti="revoked"),
    )


SUBJECTS: dict[str, Callable[[Path], Subject]] = {"prediction": prediction}
