"""The two steps after evaluation: register and gate, then promote if the gate allows it. Both are
idempotent by the bundle's hash.

Every change of a champion ends in ``promote`` or ``rollback`` here, whoever asks for it: the command line, a job,
Airflow, the dashboard, monitoring. They hold the freeze, write the audit entry and the printed fallback pages."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy.exc import SQLAlchemyError

from services.core import params
from services.core.access import audit_outbox, freeze
from services.core.access.audit import AuditEntry
from services.core.access.caller import Caller
from services.core.bundle.predictor import Predictor, load_arrays
from services.core.database.connection import address, make_engine, not_made_yet
from services.core.errors import ConflictError, UnavailableError, VigieError
from services.core.home import Home
from services.core.params import Gate
from services.core.registry.client import Registry
from services.core.registry.version import CHAMPION, Tag, Version
from services.core.settings import CHECKOUT, Settings, settings
from services.core.usecases import columns as column_tools
from services.core.usecases import registry as declared
from services.training import baseline_tables
from services.training.gate.decision import Decision
from services.training.gate.judge import judge
from services.training.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE = "training"
"""Writes the audit entries: its outbox delivers them."""
How = Literal["gate", "by hand", "rollback"]


@dataclass(frozen=True, slots=True)
class ChampionChange:
    champion: Version
    before: Version | None
    """What served before; the same version where nothing changed."""


def gate_and_register(
    home: Home, use_case: str, *, gate: Gate | None = None, registry: Registry | None = None
) -> tuple[Version, Decision]:
    """Register the published candidate of a use case as the challenger and judge it against the
    champion. The decision is written to the version's tags and, with all numbers, to ``gate.json`` of
    its run. ``gate`` comes from ``params.yaml`` if not given.

    Raises:
        VigieError: there is no evaluated candidate, or the registry cannot be reached.
    """
    workspace = Workspace(home.current(use_case).resolve(), use_case)
    if not (workspace.evaluation / "test.parquet").is_file():
        raise VigieError(
            f"There is no evaluated candidate of {use_case} to register.",
            action=f"Make one: ./vigie evaluate {use_case}",
        )
    registry = registry or Registry.open(home)
    version = registry.log_run_and_register(use_case, workspace.root)
    champion = registry.by_alias(use_case, CHAMPION)
    if champion is not None and champion.number == version.number:
        return version, Decision("unchanged", ("It is the champion already.",), f"version {champion.number}")
    decision = _decide(registry, workspace, version, champion, gate or params.load(CHECKOUT).gate)
    registry.attach(version, "gate.json", decision.as_json())
    registry.annotate(version, decision.tags())
    return registry.version(use_case, version.number), decision


def promote_if_allowed(
    home: Home,
    use_case: str,
    version: Version,
    decision: Decision,
    *,
    by: Caller | None,
    registry: Registry | None = None,
) -> bool:
    """Move ``champion`` to the version if the gate passed it. Whether it moved.

    Raises:
        VigieError: see ``promote``.
    """
    if decision.promote:
        promote(home, use_case, version.number, by=by, compared_with=decision.champion, registry=registry)
    return decision.promote


def promote(
    home: Home,
    use_case: str,
    number: int,
    *,
    by: Caller | None,
    compared_with: int | Literal["any"] | None = "any",
    job: str = "",
    registry: Registry | None = None,
) -> ChampionChange:
    """Make a version the champion, unless promotions are frozen; write the audit entry and the fallback pages.

    Args:
        by: who asks for it; None where nobody does, as on a schedule.
        compared_with: the champion that the gate compared with (None: there was none); ``any`` promotes by hand.
        job: the job that does it, for the audit entry.

    Raises:
        ConflictError: promotions are frozen.
        UnavailableError: the database cannot say whether they are.
        VigieError: there is no such version, or another champion than the gate compared with.
    """
    registry = registry or Registry.open(home)
    refuse_while_frozen(home, registry)
    before = registry.by_alias(use_case, CHAMPION)
    champion = registry.promote(use_case, number, compared_with=compared_with)
    how: How = "by hand" if compared_with == "any" else "gate"
    return _changed(home, registry, ChampionChange(champion, before), how=how, by=by, job=job)


def rollback(
    home: Home, use_case: str, *, by: Caller | None, job: str = "", registry: Registry | None = None
) -> ChampionChange:
    """Make the previous champion the champion again, also while promotions are frozen; write the audit entry and
    the fallback pages.

    Raises:
        VigieError: there is no previous version.
    """
    registry = registry or Registry.open(home)
    before = registry.by_alias(use_case, CHAMPION)
    champion = registry.rollback(use_case)
    return _changed(home, registry, ChampionChange(champion, before), how="rollback", by=by, job=job)


def refuse_while_frozen(home: Home, registry: Registry) -> None:
    """Ask the platform's database whether promotions are frozen. An embedded database that was never made holds no
    freeze.

    Raises:
        ConflictError: promotions are frozen.
        UnavailableError: the database cannot say whether they are; nothing is promoted then.
    """
    chosen = _platform(home, registry)
    url = address(chosen.database_url, chosen.home)
    if not_made_yet(url):
        return
    engine = make_engine(url)
    try:
        frozen = freeze.frozen(engine)
    except SQLAlchemyError as error:
        raise UnavailableError(
            f"Whether promotions are frozen cannot be read ({type(error).__name__}), so nothing is promoted.",
            expected="the platform's database, up to date",
            action="See VIGIE_DATABASE_URL, run python -m services.core.database.migrate, then try again.",
        ) from error
    finally:
        engine.dispose()
    if frozen is not None:
        raise ConflictError(
            f"Promotions are frozen since {frozen.since:%Y-%m-%d %H:%M} UTC by {frozen.by}: {frozen.reason}",
            expected="promotions that are not frozen",
            action="Promote when the freeze is lifted (DELETE /admin/freeze); a rollback works all the same.",
        )


def _platform(home: Home, registry: Registry) -> Settings:
    """The settings of the platform that the registry belongs to. A home that is not the process's own, such as the
    demo's, is a platform of its own where its registry is embedded."""
    chosen = settings()
    if registry.embedded and home.root != chosen.home.root:
        return chosen.model_copy(update={"home_path": home.root, "database_url": None})
    return chosen


def _changed(
    home: Home, registry: Registry, change: ChampionChange, *, how: How, by: Caller | None, job: str
) -> ChampionChange:
    """Keep an audit entry for the gateway, which takes it when it can be reached, and write the fallback pages."""
    chosen, champion, before = _platform(home, registry).home, change.champion, change.before
    if before is None or before.number != champion.number:
        entry = AuditEntry(
            service=SERVICE,
            action="champion.changed",
            use_case=champion.use_case,
            target=f"version {champion.number}",
            details={"before": None if before is None else before.number, "how": how} | ({"job": job} if job else {}),
        )
        audit_outbox.keep(audit_outbox.folder_of(chosen, SERVICE), entry if by is None else entry.by(by))
    baseline_tables.publish(chosen, registry, champion)
    return change


def _decide(
    registry: Registry, workspace: Workspace, version: Version, champion: Version | None, gate: Gate
) -> Decision:
    import pandas as pd  # noqa: PLC0415

    if version.tags.get(Tag.ROLLED_BACK):
        reason = f"Version {version.number} was rolled back on {version.tags[Tag.ROLLED_BACK]}; promote it by hand."
        return Decision("refused", (reason,))
    if champion is not None and version.simulated and not champion.simulated:
        reason = f"Version {champion.number}, the champion, was made from real data; this one from simulated data."
        return Decision("refused", (reason,), f"version {champion.number}", champion.number)
    use_case = declared.get(workspace.use_case)
    frame = pd.read_parquet(workspace.evaluation / "test.parquet")
    context: Mapping[str, object] = load_arrays(workspace.prepared / "context.npz")
    challenger = Predictor(use_case, workspace.bundle)
    if champion is None:
        return judge(challenger, None, frame, context, gate)
    name = f"version {champion.number}"
    with tempfile.TemporaryDirectory(prefix="vigie-champion-") as folder:
        try:
            holder = Predictor(use_case, registry.download(champion, Path(folder) / "bundle"))
            holder.predict(column_tools.from_frame(use_case.request, frame.head(2)), context)
        except Exception as error:  # noqa: BLE001 - an old bundle can fail in new code in any way
            said = str(error) if isinstance(error, VigieError) else f"{type(error).__name__}: {error}"
            reason = f"The champion, {name}, cannot be run by this code, so nothing can be compared with it ({said})."
            by_hand = f"Look at the metrics and promote by hand: ./vigie promote {use_case.name} {version.number}"
            return Decision("refused", (reason, by_hand), name, champion.number)
        decision = judge(challenger, holder, frame, context, gate, champion_name=name)
        return replace(decision, champion=champion.number)
