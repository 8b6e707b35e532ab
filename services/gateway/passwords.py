"""Passwords: argon2id, checked off the event loop, a few at a time, and as slowly for a user who does not exist."""

from __future__ import annotations

import secrets

import anyio
from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.core.errors import VigieError
from services.core.web.faults import refused

SHORTEST, LONGEST = 12, 128
_WAITING_PER_THREAD = 20


class Passwords:
    """Hashes and checks with one set of parameters (argon2's defaults: 64 MB, three passes)."""

    def __init__(self, threads: int, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._limiter = anyio.CapacityLimiter(threads)
        self._most_waiting = threads * _WAITING_PER_THREAD
        self._dummy = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    async def hashed(self, password: str) -> str:
        """``hash`` off the event loop."""
        self._refuse_a_crowd()
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` is the one that was hashed. Without a hash (no such user) the work is the
        same and the answer no, so that the time says nothing.

        Raises:
            RefusedError: 503, more sign-ins wait than can be checked in a few seconds.
        """
        self._refuse_a_crowd()
        right = await to_thread.run_sync(self._matches, stored or self._dummy, password, limiter=self._limiter)
        return right and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password[:LONGEST])
        except (VerificationError, InvalidHashError):
            return False

    def _refuse_a_crowd(self) -> None:
        if self._limiter.statistics().tasks_waiting >= self._most_waiting:
            raise refused(
                503, "service_unavailable", "Too many people sign in at once; try again.", headers={"Retry-After": "2"}
            )


def new_password() -> str:
    """144 random bits."""
    return secrets.token_urlsafe(18)


def check_new(password: str, name: str) -> None:
    """
    Raises:
        VigieError: the password is too short, too long or too plain for the user ``name``.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise VigieError(
            "The password is too short." if len(password) < SHORTEST else "The password is too long.",
            expected=f"{SHORTEST} to {LONGEST} characters",
            action="A few unrelated words are easy to remember and hard to guess.",
        )
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise VigieError(
            "The password is too easy to guess.",
            expected="not the user's name, and at least five different characters",
            action="A few unrelated words are easy to remember and hard to guess.",
        )
