"""Getting raw files into a landing folder: the impure part, done before DVC sees anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import structlog

from services.core import params
from services.core.errors import VigieError
from services.core.home import Home
from services.core.settings import CHECKOUT, settings
from services.core.usecases import registry
from services.core.usecases.contract import UseCase
from services.ingestion import landing
from services.ingestion.download import Limits
from services.ingestion.drop_folder import DropFolder
from services.ingestion.official import Official
from services.ingestion.simulated import Simulator
from services.ingestion.source import Fetched, Source, first_of


@dataclass(frozen=True, slots=True)
class Acquired:
    """What ``acquire`` did. Files are named as their publisher names them."""

    source: str
    """``official``, ``folder`` or ``simulator``; ``none`` where nothing new was to be had."""
    simulated: bool
    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    """Simulated files that gave way to real ones."""
    ignored: dict[str, str] = field(default_factory=dict)


def acquire(
    use_case: str, source: str, folder: Path, *, home: Home, root: Path = CHECKOUT, fresh: bool = False
) -> Acquired:
    """Add what is new to the landing folder ``folder``.

    ``source`` is ``official``, ``simulator``, the path of a folder, or ``auto``: the first that is there
    of the official download, the drop folder ``VIGIE_HOME/drop/<use case>`` and the simulator. ``root``
    holds the ``params.yaml`` that tells the simulator what to write.

    Real and simulated data are never mixed: simulated files go when real ones land, and the simulator
    adds nothing to real ones (``auto`` then keeps what is there). ``fresh`` forgets what landed before and
    starts again with what the source has.

    Raises:
        VigieError: the source is there and cannot be read, or simulated data was asked for where real
            data has landed.
    """
    declared = registry.get(use_case)
    log = structlog.get_logger().bind(use_case=use_case)
    chosen = _choose(declared, source, home, root)
    if fresh and folder.is_dir():
        for file in landing.landed(folder):
            file.path.unlink()
    has_real = folder.is_dir() and any(file.origin != "simulated" for file in landing.landed(folder))
    if chosen.name == Simulator.name and has_real:
        if source == "auto":
            log.info("no source is there, the real files that landed before are kept")
            return Acquired("none", simulated=False)
        raise VigieError(
            f"Real data of {use_case} has landed; simulated data is never mixed with it.",
            action="Use another VIGIE_HOME for simulated data.",
        )
    fetched = chosen.fetch(folder)
    dropped = _drop_simulated(folder)
    files = landing.landed(folder)
    acquired = Acquired(
        chosen.name,
        simulated=any(file.origin == "simulated" for file in files),
        added=fetched.added,
        known=fetched.known,
        dropped=dropped,
        ignored=fetched.ignored,
    )
    _report(log, acquired, fetched)
    return acquired


def _choose(use_case: UseCase, source: str, home: Home, root: Path) -> Source:
    simulator = Simulator(use_case, params.load(root).including(use_case.name).of(use_case.name).ingest.simulate)
    chosen = settings()
    limits = Limits(chosen.official_timeout_seconds, chosen.official_size_limit_mb * 1_000_000)
    official = Official(use_case, home.downloads / use_case.name, limits)
    workbooks = home.downloads / use_case.name / "workbooks"
    if source == "official":
        return official
    if source == "simulator":
        return simulator
    if source == "auto":
        choices: tuple[Source, ...] = (official, DropFolder(use_case, home.drop(use_case.name), workbooks), simulator)
        return next(choice for choice in choices if choice.available())
    path = Path(source).expanduser()
    if not path.is_dir():
        raise VigieError(
            f"{source!r} is no source: there is no such folder.", expected="auto, official, simulator or a folder"
        )
    return DropFolder(use_case, path, workbooks)


def _drop_simulated(folder: Path) -> tuple[str, ...]:
    files = landing.landed(folder)
    gone = [file for file in files if file not in landing.in_force(files)]
    for file in gone:
        file.path.unlink()
    return tuple(file.name for file in gone)


def _report(log: structlog.stdlib.BoundLogger, acquired: Acquired, fetched: Fetched) -> None:
    log.info(
        "files acquired",
        source=acquired.source,
        simulated=acquired.simulated,
        added=len(fetched.added),
        known=len(fetched.known),
    )
    if acquired.ignored:
        log.info("files left alone", number=len(acquired.ignored), first=first_of(acquired.ignored))
    if acquired.dropped:
        log.warning("simulated files were dropped, because real ones came", files=list(acquired.dropped))
