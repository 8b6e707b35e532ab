"""Hashes, verifies, generates and judges passwords. Argon2id in a bounded thread pool; zxcvbn knows common ones."""

from __future__ import annotations

import secrets

import anyio
from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from services.core.errors import VigieError
from services.core.web.errors import http_error

MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 128
MIN_PASSWORD_SCORE = 3
"""zxcvbn's score of a password that stands at least 10^8 guesses: common passwords, words and keyboard rows do not."""
_MAX_WAITING_PER_THREAD = 20


class PasswordService:
    """Hashes and verifies passwords with one set of parameters (argon2's defaults: 64 MB, three passes)."""

    def __init__(self, threads: int, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._limiter = anyio.CapacityLimiter(threads)
        self._most_waiting = threads * _MAX_WAITING_PER_THREAD
        self._dummy = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    async def hash_async(self, password: str) -> str:
        """Run ``hash`` off the event loop."""
        self._refuse_when_overloaded()
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Verify ``password`` against a stored hash. Without one (unknown user) the same work is done and the result is
        False, so that the response time reveals nothing.

        Raises:
            HttpError: 503, more logins are queued than can be verified within a few seconds.
        """
        self._refuse_when_overloaded()
        right = await to_thread.run_sync(self._matches, stored or self._dummy, password, limiter=self._limiter)
        return right and stored is not None

    def is_right(self, stored: str, password: str) -> bool:
        """Verify ``password`` against a stored hash, on the calling thread; for start-up."""
        return self._matches(stored, password)

    def needs_rehash(self, stored: str) -> bool:
        """Whether the hash was created with other parameters than the current ones."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password[:MAX_PASSWORD_LENGTH])
        except (VerificationError, InvalidHashError):
            return False

    def _refuse_when_overloaded(self) -> None:
        if self._limiter.statistics().tasks_waiting >= self._most_waiting:
            raise http_error(
                503, "service_unavailable", "Too many people sign in at once; try again.", headers={"Retry-After": "2"}
            )


def generate_password() -> str:
    """Generate a random password of 144 bits."""
    return secrets.token_urlsafe(18)


def check_password_policy(password: str, name: str) -> None:
    """Check a new password.

    Raises:
        VigieError: the password is too short, too long or too easy to guess for the user ``name``.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise VigieError(
            "The password is too short." if len(password) < MIN_PASSWORD_LENGTH else "The password is too long.",
            expected=f"{MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters",
            action="A few unrelated words are easy to remember and hard to guess.",
        )
    # zxcvbn takes up to 72 characters; what is longer is not made easier by its end.
    guessable = zxcvbn(password[:72], user_inputs=[name, "vigie"])["score"] < MIN_PASSWORD_SCORE
    if name.lower() in password.lower() or guessable:
        raise VigieError(
            "The password is too easy to guess.",
            expected="no common password, no keyboard row, no repetition and not the user's name",
            action="A few unrelated words are easy to remember and hard to guess.",
        )
