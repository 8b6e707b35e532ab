"""Second factor of users who sign in with a password: one-time codes of an authenticator app (TOTP, RFC 6238)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pyotp
from cryptography.fernet import Fernet, InvalidToken

from services.core.auth.principal import Role
from services.core.auth.tables import UserRow
from services.core.errors import ConflictError, VigieError

STEP_SECONDS = 30
ACCEPTED_STEPS = 1
"""Codes of the step before and after count too: the clocks of phones differ."""
ISSUER = "Vigie"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app needs. ``uri`` is the content of the QR code that such apps read."""

    secret: str
    uri: str


class SecondFactor:
    """Enrols users and checks their codes. Secrets are stored encrypted."""

    def __init__(self, fernet: Fernet, *, required: bool) -> None:
        self._fernet, self._required = fernet, required

    def is_active(self, user: UserRow) -> bool:
        """Whether the user signs in with a code."""
        return user.totp_secret is not None and bool(user.totp_confirmed)

    def must_enrol(self, user: UserRow) -> bool:
        """Whether the user has to enrol before anything else: operators and above, where the setting asks for it."""
        return self._required and Role(user.role).covers(Role.OPERATOR) and not self.is_active(user)

    def enrol(self, user: UserRow) -> Enrolment:
        """Make a new secret, which counts once ``confirm`` has seen a code of it.

        Raises:
            ConflictError: the user has a second factor already.
        """
        if self.is_active(user):
            raise ConflictError("You have a second factor already.", action="An administrator can remove it.")
        secret = pyotp.random_base32(32)
        user.totp_secret, user.totp_confirmed = self._fernet.encrypt(secret.encode()).decode(), False
        user.totp_last_step = None
        return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=user.name, issuer_name=ISSUER))

    def confirm(self, user: UserRow, code: str) -> None:
        """Activate the enrolled secret.

        Raises:
            VigieError: nothing is enrolled, or the code is not right.
        """
        if user.totp_secret is None:
            raise VigieError("There is no second factor to confirm.", action="POST /auth/second-factor makes one.")
        if not self.accept(user, code):
            raise VigieError("The code is not right.", expected="the six digits that the app shows now")
        user.totp_confirmed = True

    def remove(self, user: UserRow) -> None:
        """Remove the user's second factor."""
        user.totp_secret = user.totp_confirmed = user.totp_last_step = None

    def accept(self, user: UserRow, code: str) -> bool:
        """Whether ``code`` is right now and was not used before; it is used up then."""
        assert user.totp_secret is not None
        try:
            totp = pyotp.TOTP(self._fernet.decrypt(user.totp_secret.encode()).decode())
        except InvalidToken:
            raise VigieError(
                "The second factor was encrypted with another key.",
                expected="the VIGIE_GATEWAY_KEY_ENCRYPTION that it was made with",
                action="Put that key back, or have an administrator remove the second factor.",
            ) from None
        now = int(time.time()) // STEP_SECONDS
        for step in range(now - ACCEPTED_STEPS, now + ACCEPTED_STEPS + 1):
            if pyotp.utils.strings_equal(code.replace(" ", ""), totp.at(step * STEP_SECONDS)):
                if user.totp_last_step is not None and step <= user.totp_last_step:
                    return False
                user.totp_last_step = step
                return True
        return False
