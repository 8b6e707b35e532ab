"""Authentication of callers: by the gateway's auth snapshot, or none in open mode on the loopback interface."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge
from pydantic import BaseModel, Field

from services.core.auth.principal import AllowAll, Authenticator, AuthErrorCode
from services.core.auth.snapshot import SnapshotFile, Withdrawal
from services.core.auth.snapshot_poller import AuthSnapshotPoller, GatewayAuthClient
from services.core.errors import VigieError
from services.prediction.settings import PredictionSettings


class AuthState(BaseModel):
    """Authentication mode and age of the auth snapshot, for ``/health/ready``."""

    mode: Literal["required", "open"]
    list_age_seconds: float | None = Field(
        default=None,
        description="Since the gateway issued the list of who may call; null in open mode and before the first list.",
    )
    stale: bool = Field(default=False, description="True where a revoked key may still be working.")


class AuthLifecycle:
    """The authenticator and its background polling of the gateway, from ``start`` to ``stop``."""

    def __init__(self, verifier: AllowAll | AuthSnapshotPoller) -> None:
        self._follower = verifier if isinstance(verifier, AuthSnapshotPoller) else None
        self.authenticator: Authenticator = verifier

    def on_withdrawn(self, follow: Callable[[Sequence[Withdrawal]], None]) -> None:
        """Call ``follow`` with the active emergency stops from ``start`` on, whenever the snapshot changes."""
        if self._follower is not None:
            self._follower.on_withdrawn = follow

    def start(self) -> None:
        if self._follower is not None:
            self._follower.start()

    def stop(self) -> None:
        if self._follower is not None:
            self._follower.stop()

    def join(self, seconds: float) -> None:
        if self._follower is not None:
            self._follower.join(seconds)

    def state(self) -> AuthState:
        """Without any snapshot the service runs and refuses every call: stale, and ``list_age_seconds`` is null."""
        if self._follower is None:
            return AuthState(mode="open")
        age = self._follower.age()
        if age is None:
            return AuthState(mode="required", stale=True)
        return AuthState(mode="required", list_age_seconds=round(age, 1), stale=self._follower.stale)


def create_auth(settings: PredictionSettings, registry: CollectorRegistry) -> AuthLifecycle:
    """Create the authenticator that the settings ask for.

    Raises:
        VigieError: open mode on a host other than loopback, or the gateway's address or token is missing.
    """
    if settings.prediction_access == "open":
        if not _is_loopback(settings.prediction_host):
            raise VigieError(
                f"Prediction would answer everybody who reaches {settings.prediction_host}.",
                expected="VIGIE_PREDICTION_ACCESS=required, or a VIGIE_PREDICTION_HOST of this machine alone",
                action="Set VIGIE_PREDICTION_ACCESS=required and VIGIE_GATEWAY_URL.",
            )
        return AuthLifecycle(AllowAll())
    if settings.gateway_url is None or settings.service_token is None:
        missing = "VIGIE_GATEWAY_URL" if settings.gateway_url is None else "VIGIE_SERVICE_TOKEN"
        raise VigieError(
            f"Prediction cannot learn who may call: {missing} is not set.",
            expected="VIGIE_GATEWAY_URL and VIGIE_SERVICE_TOKEN",
            action="Set both, or VIGIE_PREDICTION_ACCESS=open to try the service on this machine without any keys.",
        )
    refused = Counter(
        "vigie_credentials_refused", "Requests without a good token or key.", ("reason",), registry=registry
    )
    for reason in AuthErrorCode:  # initialised at zero, so that the first refusal is an increase
        refused.labels(reason.value)
    follower = AuthSnapshotPoller(
        SnapshotFile(settings.home.access_list),
        GatewayAuthClient(settings.gateway_url, settings.service_token, "prediction"),
        seconds=settings.access_poll_seconds,
        on_refused=lambda reason: refused.labels(reason.value).inc(),
    )
    age = Gauge(
        "vigie_access_list_age_seconds", "Since the gateway issued the list of who may call.", registry=registry
    )
    age.set_function(lambda: math.nan if (known := follower.age()) is None else known)
    return AuthLifecycle(follower)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
