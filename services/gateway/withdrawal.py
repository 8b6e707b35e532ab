"""Taking tokens back, by their own text: signing out and RFC 7009."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from services.core.access.tokens import AccessClaims, PublicKeys
from services.gateway import refresh, revocations, users
from services.gateway.gateway import Gateway
from services.gateway.trail import Origin


class Withdrawal:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def of_token(self, text: str, origin: Origin, *, action: str = "token.revoked") -> bool:
        """Take back a refresh or an access token. False where it is neither, or not in force."""
        gateway, now = self._gateway, datetime.now(UTC)
        if text.startswith(refresh.PREFIX):
            with gateway.transaction() as session:
                user = refresh.end(session, text, now)
                if user is None:
                    return False
                gateway.trail.add(session, origin, action, by=users.caller_of(session, user), kind="refresh_token")
            return True
        keys = gateway.signing.current().jwks(time.time())["keys"]
        claims = PublicKeys(keys).verify(text, time.time())
        if not isinstance(claims, AccessClaims):
            return False
        with gateway.transaction() as session:
            revocations.revoke_token(session, claims.jti, now)
            gateway.trail.add(session, origin, action, by=claims.caller(), kind="access_token")
        gateway.access.renew()
        return True

    def of_sign_in(self, text: str, origin: Origin) -> bool:
        """End the whole sign-in that an access token belongs to, also one that has run out, and the token."""
        gateway, now = self._gateway, datetime.now(UTC)
        claims = gateway.signing.session_claims(text)
        if claims is None or claims.sid is None:
            return False
        with gateway.transaction() as session:
            refresh.end_family(session, claims.sid, now)
            revocations.revoke_token(session, claims.jti, now)
            gateway.trail.add(session, origin, "login.ended", by=claims.caller(), kind="sign_in")
        gateway.access.renew()
        return True
