"""Context source for prediction: the last published context, held in memory and refreshed in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from services.core.background import PeriodicThread
from services.core.contract.use_case import Arrays
from services.core.io import atomic_write
from services.core.paths import VigiePaths

SelectArrays = Callable[[Mapping[str, NDArray[Any]]], Arrays]


class PublishedContextSource:
    """Context source that ``start`` loads and then refreshes every ``every`` seconds from the home ``published``.

    A copy is stored in ``home``. ``snapshot`` reads one attribute. ``keep`` selects the arrays that requests need;
    ``missing`` is the warning if there is no context."""

    def __init__(
        self,
        use_case: str,
        published: VigiePaths,
        home: VigiePaths,
        *,
        keep: SelectArrays,
        missing: str,
        every: float = 5.0,
    ) -> None:
        self._published = published.data(use_case) / "examples" / "context.npz"
        self._copy = home.root / "context" / f"{use_case}.npz"
        self._keep = keep
        self._missing = missing
        self._seen: tuple[str, int, int] | None = None
        self._arrays: Mapping[str, Any] = {}
        self._thread = PeriodicThread(f"context-{use_case}", self.refresh, every, at_once=False)
        self._log = structlog.get_logger().bind(use_case=use_case)

    def start(self) -> None:
        if not self.refresh() and not self._arrays:
            self._arrays = self._read(self._copy) or {}
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()
        self._thread.join()

    def snapshot(self) -> Mapping[str, Any]:
        return self._arrays

    def warning(self) -> str | None:
        return None if self._arrays else self._missing

    def refresh(self) -> bool:
        """Load the published context if it has changed. Returns whether it has; on an error the current one stays."""
        try:
            path = self._published.resolve(strict=True)
            status = path.stat()
        except OSError:
            return False
        stamp = (str(path), status.st_mtime_ns, status.st_size)
        if stamp == self._seen:
            return False
        arrays = self._read(path, self._keep)
        if arrays is None:
            return False
        self._arrays = arrays
        self._seen = stamp
        self._write_copy()
        return True

    def _read(self, path: Path, keep: SelectArrays = dict) -> Mapping[str, Any] | None:
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                return keep({name: stored[name] for name in stored.files})
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the file, what is known stays
            self._log.warning("context not read", file=path.name, reason=type(error).__name__)
            return None

    def _write_copy(self) -> None:
        try:
            atomic_write(self._copy, lambda stream: np.savez(stream, allow_pickle=False, **dict(self._arrays)))
        except OSError as error:
            self._log.warning("context not kept", reason=type(error).__name__)
