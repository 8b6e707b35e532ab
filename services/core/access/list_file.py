"""The access list on disk: with it a service verifies callers right after its own start, while the gateway is down."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pydantic import ValidationError

from services.core.access.access_list import AccessListDocument
from services.core.errors import VigieError
from services.core.io import atomic_write


class ListFile:
    """Nobody but the service's own user reads or writes the file: who can write it decides who may call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> AccessListDocument | None:
        """The list that was kept last; None where there is none.

        Raises:
            VigieError: there is one, and it cannot be trusted or read.
        """
        try:
            with self.path.open("rb") as stream:
                self._require_own(os.fstat(stream.fileno()))
                return AccessListDocument.model_validate_json(stream.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VigieError(f"The access list {self.path} cannot be read: {error.strerror}.") from None
        except ValidationError:
            raise VigieError(
                f"The access list {self.path} is damaged.", action="Delete it; the gateway gives a new one."
            ) from None

    def save(self, document: AccessListDocument) -> None:
        """Replace the file: whoever reads it sees the old list or the new one.

        Raises:
            OSError: it cannot be written.
        """
        atomic_write(self.path, document.model_dump_json(), mode=0o600, durable=True)

    def _require_own(self, found: os.stat_result) -> None:
        others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if others_write or found.st_uid not in {os.geteuid(), 0}:
            raise VigieError(
                f"The access list {self.path} is not used: others than this service may write it.",
                expected="a file of the service's own user with mode 0600",
                action="Find out who changed it, and delete it; the gateway gives a new one.",
            )
