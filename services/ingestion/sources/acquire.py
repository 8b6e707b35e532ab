"""Selects a source and adds its new files to the landing zone; the impure step before DVC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from services.core import params, use_case_registry
from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.raw_files import landing
from services.core.raw_files.ingest_report import first_ignored
from services.core.settings import CHECKOUT, settings
from services.ingestion.sources.base import FetchResult, Source
from services.ingestion.sources.http import DownloadLimits, HttpSource
from services.ingestion.sources.local import FolderSource, SimulatorSource


@dataclass(frozen=True, slots=True)
class AcquireResult:
    """Result of ``acquire``. Files have their publishers' names."""

    source: str
    """``official``, ``folder`` or ``simulator``; ``none`` if there was nothing new."""
    simulated: bool
    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    """Simulated files that real ones replaced."""
    ignored: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What came, for people."""
        kind = "simulated" if self.simulated else "real"
        lines = [f"files from {self.source} ({kind}): {len(self.added)} new, {len(self.known)} known"]
        lines += [f"left aside: {name}: {why}" for name, why in first_ignored(self.ignored).items()]
        hidden = len(self.ignored) - len(lines) + 1
        lines += [f"left aside: {hidden} more files"] if hidden > 0 else []
        return lines + ([f"{len(self.dropped)} simulated files made way for real ones"] if self.dropped else [])


def acquire(
    use_case: str,
    source: str,
    folder: Path,
    *,
    home: VigiePaths,
    root: Path = CHECKOUT,
    fresh: bool = False,
    confirm: Sequence[str] = (),
) -> AcquireResult:
    """Add new files to the landing folder ``folder``.

    ``source`` is ``official``, ``simulator``, the path of a folder, or ``auto``: the first available
    of the official download, the drop folder ``VIGIE_HOME/drop/<use case>`` and the simulator. ``root``
    contains the ``params.yaml`` with the simulator's parameters.

    Real and simulated data are never mixed: simulated files are deleted when real ones land, and the simulator
    adds nothing to real ones (``auto`` then changes nothing). ``fresh`` deletes what landed before and
    starts again with what the source has. ``confirm``: codes of doubtful values that a person confirms; they stay
    confirmed.

    Raises:
        VigieError: the source exists but cannot be read, or simulated data was requested although real
            data has landed.
    """
    declared = use_case_registry.get(use_case)
    log = structlog.get_logger().bind(use_case=use_case)
    chosen = _select_source(declared, source, home, root)
    if fresh and folder.is_dir():
        for file in landing.list_files(folder):
            file.path.unlink()
    if confirm:
        landing.confirm(folder, confirm)
        log.info("values confirmed", codes=list(confirm))
    has_real = folder.is_dir() and any(file.origin != "simulated" for file in landing.list_files(folder))
    if chosen.name == SimulatorSource.name and has_real:
        if source == "auto":
            log.info("no source is there, the real files that landed before are kept")
            return AcquireResult("none", simulated=False)
        raise VigieError(
            f"Real data of {use_case} has landed; simulated data is never mixed with it.",
            action="Use another VIGIE_HOME for simulated data.",
        )
    fetched = chosen.fetch(folder)
    dropped = _drop_simulated(folder)
    files = landing.list_files(folder)
    acquired = AcquireResult(
        chosen.name,
        simulated=any(file.origin == "simulated" for file in files),
        added=fetched.added,
        known=fetched.known,
        dropped=dropped,
        ignored=fetched.ignored,
    )
    _report(log, acquired, fetched)
    return acquired


def _select_source(use_case: UseCase, source: str, home: VigiePaths, root: Path) -> Source:
    simulator = SimulatorSource(
        use_case, params.load_params(root).including(use_case.name).of(use_case.name).ingest.simulate
    )
    chosen = settings()
    limits = DownloadLimits(chosen.official_timeout_seconds, chosen.official_size_limit_mb * 1_000_000)
    official = HttpSource(use_case, home.downloads / use_case.name, limits)
    if source == "official":
        return official
    if source == "simulator":
        return simulator
    if source == "auto":
        choices: tuple[Source, ...] = (official, FolderSource(use_case, home.drop(use_case.name)), simulator)
        return next(choice for choice in choices if choice.available())
    path = Path(source).expanduser()
    if not path.is_dir():
        raise VigieError(
            f"{source!r} is no source: there is no such folder.", expected="auto, official, simulator or a folder"
        )
    return FolderSource(use_case, path)


def _drop_simulated(folder: Path) -> tuple[str, ...]:
    files = landing.list_files(folder)
    gone = [file for file in files if file not in landing.effective_files(files)]
    for file in gone:
        file.path.unlink()
    return tuple(file.name for file in gone)


def _report(log: structlog.stdlib.BoundLogger, acquired: AcquireResult, fetched: FetchResult) -> None:
    log.info(
        "files acquired",
        source=acquired.source,
        simulated=acquired.simulated,
        added=len(fetched.added),
        known=len(fetched.known),
    )
    if acquired.ignored:
        log.info("files left aside", number=len(acquired.ignored), first=first_ignored(acquired.ignored))
    if acquired.dropped:
        log.warning("simulated files were dropped, because real ones came", files=list(acquired.dropped))
