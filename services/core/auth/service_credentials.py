"""Credentials of calls between the platform's services: one per caller, shown in another form to each receiver.

``./vigie init`` and ``./vigie up`` derive each service's token from the platform's (HMAC-SHA256). A caller shows a
receiver its token *bound* to that receiver; receivers know the SHA-256 of the bound tokens (``VIGIE_SERVICE_CALLERS``),
so that none of them can call another one with what it holds or is shown. A token of release 0.1.0, the same for all
services, is shown as it is."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

from services.core.headers import ON_BEHALF_OF_HEADER, SERVICE_HEADER

ServiceName = Literal[
    "prediction",
    "gateway",
    "dashboard",
    "ingestion",
    "preprocessing",
    "training",
    "drift",
    "simulator",
    "airflow",
    "alertmanager",
    "cli",
]
SERVICES: Final[tuple[ServiceName, ...]] = get_args(ServiceName)
STAGES: Final[tuple[ServiceName, ...]] = ("ingestion", "preprocessing", "training", "drift")
RECEIVERS: Final[Mapping[ServiceName, tuple[ServiceName, ...]]] = {
    **dict.fromkeys(SERVICES, ("gateway",)),
    "gateway": (*STAGES, "simulator"),
    "airflow": STAGES,
    "cli": ("gateway", "simulator"),
}
"""Caller -> the services that it calls."""
COMPOSE_CALLERS: Final = tuple(name for name in SERVICES if name != "cli")
"""The command line calls the services of a home of local processes alone."""

_OWN, _BOUND = "vigie-service-", "vigie-bound-"
_ENTRY = re.compile(r"(?P<caller>[a-z]+)@(?P<receiver>[a-z]+)=(?P<sha256>[0-9a-f]{64})")


def derive_service_token(platform_token: str, service: ServiceName) -> str:
    """Return the service's own token. Alertmanager, which cannot bind one, gets it bound to its only receiver."""
    own = _OWN + _hmac(platform_token, f"service:{service}")
    return bind_service_token(own, "gateway") if service == "alertmanager" else own


def bind_service_token(token: str, receiver: str) -> str:
    """Return what a caller with this token shows to the receiver; a shared token of 0.1.0 unchanged."""
    return _BOUND + _hmac(token, f"to:{receiver}") if token.startswith(_OWN) else token


def service_callers(platform_token: str, callers: Iterable[ServiceName] = SERVICES) -> str:
    """Return the value of ``VIGIE_SERVICE_CALLERS``: who may call whom, with the SHA-256 of what it shows."""
    return ",".join(
        f"{caller}@{receiver}={_sha256(bind_service_token(derive_service_token(platform_token, caller), receiver))}"
        for caller in callers
        for receiver in RECEIVERS[caller]
    )


def parse_service_callers(text: str, receiver: str | None = None) -> dict[str, str]:
    """Return caller -> SHA-256 of the token that it shows to the receiver.

    Raises:
        ValueError: not in the form of ``service_callers``.
    """
    entries = [_ENTRY.fullmatch(entry.strip()) for entry in text.split(",")]
    if any(entry is None for entry in entries):
        raise ValueError("entries caller@receiver=SHA-256 are needed, as ./vigie init writes them")
    return {entry["caller"]: entry["sha256"] for entry in entries if entry and receiver in {None, entry["receiver"]}}


def caller_of(shown: bytes, callers: Mapping[str, str]) -> str:
    """Return the caller whose credential was shown; empty for none. Takes as long for any caller."""
    digest = hashlib.sha256(shown).hexdigest()
    return "".join(name for name, sha256 in callers.items() if hmac.compare_digest(sha256, digest))


def service_headers(token: str, service: str, receiver: str, on_behalf_of: str = "") -> dict[str, str]:
    """Return the headers of a call between services: credential, own name and the user it acts for."""
    headers = {"Authorization": f"Bearer {bind_service_token(token, receiver)}", SERVICE_HEADER: service}
    return headers | ({ON_BEHALF_OF_HEADER: on_behalf_of} if on_behalf_of else {})


def _hmac(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
