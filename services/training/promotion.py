"""Registers, gates, promotes and rolls back; ``promote`` and ``rollback`` honour freeze, audit and fallback pages."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy.exc import SQLAlchemyError

from services.core import use_case_registry as declared
from services.core.audit.entries import AuditEntry, enqueue, outbox_folder
from services.core.auth.principal import Principal
from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.bundle.predictor import Predictor, load_arrays
from services.core.contract import columns as column_tools
from services.core.database.connection import database_address, make_engine
from services.core.errors import UnavailableError, VigieError
from services.core.model_registry import promotion_freeze
from services.core.model_registry.client import ModelRegistry
from services.core.model_registry.version import CHAMPION, RegisteredVersion, Tag
from services.core.params import Gate
from services.core.paths import VigiePaths
from services.training import fallback_pages
from services.training.gate.compare import compare_models
from services.training.gate.decision import Decision, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


SERVICE = "training"  # its outbox delivers the audit entries
PromotionMode = Literal["gate", "by hand", "rollback"]


@dataclass(frozen=True, slots=True)
class ChampionChange:
    """The champion after a promotion or rollback, and the one before: the same version where nothing changed."""

    champion: RegisteredVersion
    before: RegisteredVersion | None


def gate_and_register(
    home: VigiePaths, use_case: str, *, gate: Gate, registry: ModelRegistry | None = None
) -> tuple[RegisteredVersion, Decision]:
    """Register the published candidate of a use case as the challenger and judge it against the champion.

    The decision is written to the version's tags and, with all numbers, to ``gate.json`` of its run. ``gate`` has the
    thresholds.

    Returns:
        The registered version and the decision.

    Raises:
        VigieError: There is no evaluated candidate, or the registry cannot be reached.
    """
    state = home.current(use_case).resolve()
    if not (state / "models" / use_case / "evaluation" / "test.parquet").is_file():
        raise VigieError(
            f"There is no evaluated candidate of {use_case} to register.",
            action=f"Make one: ./vigie evaluate {use_case}",
        )
    registry = registry or ModelRegistry.open(home)
    version = registry.log_run_and_register(use_case, state)
    champion = registry.by_alias(use_case, CHAMPION)
    if champion is not None and champion.number == version.number:
        return version, Decision("unchanged", ("It is the champion already.",), f"version {champion.number}")
    decision = _decide(registry, state, version, champion, gate)
    registry.log_json(version, "gate.json", decision.as_json())
    registry.set_tags(version, decision.tags())
    return registry.version(use_case, version.number), decision


def promote_if_allowed(
    home: VigiePaths,
    use_case: str,
    version: RegisteredVersion,
    decision: Decision,
    *,
    by: Principal | None,
    registry: ModelRegistry | None = None,
) -> bool:
    """Make the version the champion if the gate passed it; return whether it did.

    Raises:
        VigieError: See ``promote``.
    """
    if decision.promote:
        promote(home, use_case, version.number, by=by, compared_with=decision.champion, registry=registry)
    return decision.promote


def promote(
    home: VigiePaths,
    use_case: str,
    number: int,
    *,
    by: Principal | None,
    compared_with: int | Literal["any"] | None = "any",
    job: str = "",
    registry: ModelRegistry | None = None,
) -> ChampionChange:
    """Make a version the champion, unless promotions are frozen; write the audit entry and the fallback pages.

    Args:
        home: Folders of the platform.
        use_case: Name.
        number: The version to promote.
        by: Who asks for it; None where nobody does, as on a schedule.
        compared_with: The champion that the gate compared with (None: there was none); ``any`` promotes by hand.
        job: The job that does it, for the audit entry.
        registry: By default the one of ``home``.

    Returns:
        The champion, and the one before.

    Raises:
        ConflictError: Promotions are frozen.
        UnavailableError: The database cannot say whether they are.
        VigieError: There is no such version, or another champion than the gate compared with.
    """
    registry = registry or ModelRegistry.open(home)
    ensure_not_frozen(registry)
    before = registry.by_alias(use_case, CHAMPION)
    champion = registry.promote(use_case, number, compared_with=compared_with)
    how: PromotionMode = "by hand" if compared_with == "any" else "gate"
    return _record_change(registry, ChampionChange(champion, before), how=how, by=by, job=job)


def rollback(
    home: VigiePaths, use_case: str, *, by: Principal | None, job: str = "", registry: ModelRegistry | None = None
) -> ChampionChange:
    """Make the previous champion the champion again, also while promotions are frozen; else as ``promote``.

    Raises:
        VigieError: There is no previous version.
    """
    registry = registry or ModelRegistry.open(home)
    before = registry.by_alias(use_case, CHAMPION)
    champion = registry.rollback(use_case)
    return _record_change(registry, ChampionChange(champion, before), how="rollback", by=by, job=job)


def ensure_not_frozen(registry: ModelRegistry) -> None:
    """Require that promotions are not frozen; an embedded database that was never made holds no freeze.

    Raises:
        ConflictError: Promotions are frozen.
        UnavailableError: The database cannot say whether they are; nothing is promoted then.
    """
    url, home = registry.settings.database_url, registry.home
    if url is None and not home.database.exists():
        return
    engine = make_engine(database_address(url, home))
    try:
        promotion_freeze.ensure_not_frozen(engine)
    except SQLAlchemyError as error:
        raise UnavailableError(
            f"Whether promotions are frozen cannot be read ({type(error).__name__}), so nothing is promoted.",
            expected="the platform's database, up to date",
            action="See VIGIE_DATABASE_URL, run python -m services.core.database.migrate, then try again.",
        ) from error
    finally:
        engine.dispose()


def _record_change(
    registry: ModelRegistry,
    change: ChampionChange,
    *,
    how: PromotionMode,
    by: Principal | None,
    job: str,
) -> ChampionChange:
    """Write an audit entry to the outbox, which the gateway takes when it can be reached, and the fallback pages."""
    home, champion, before = registry.home, change.champion, change.before
    if before is None or before.number != champion.number:
        entry = AuditEntry(
            service=SERVICE,
            action="champion.changed",
            use_case=champion.use_case,
            target=f"version {champion.number}",
            details={"before": None if before is None else before.number, "how": how} | ({"job": job} if job else {}),
        )
        enqueue(outbox_folder(home, SERVICE), entry if by is None else entry.by(by))
    fallback_pages.publish(home, registry, champion)
    return change


def _decide(
    registry: ModelRegistry,
    state: Path,
    version: RegisteredVersion,
    champion: RegisteredVersion | None,
    gate: Gate,
) -> Decision:
    import pandas as pd  # noqa: PLC0415

    if when := version.tags.get(Tag.ROLLED_BACK):
        return Decision("refused", (f"Version {version.number} was rolled back on {when}; promote it by hand.",))
    if champion is None and (lost := _last_promoted(registry.versions(version.use_case))):
        reason = f"Version {lost.number} served, but the champion was removed in MLflow; promote one by hand."
        return Decision("refused", (reason,))
    if champion is not None and version.simulated and not champion.simulated:
        reason = f"Version {champion.number}, the champion, was made from real data; this one from simulated data."
        return Decision("refused", (reason,), f"version {champion.number}", champion.number)
    use_case, models = declared.get(version.use_case), state / "models" / version.use_case
    frame = pd.read_parquet(models / "evaluation" / "test.parquet")
    context: Mapping[str, object] = load_arrays(state / "data" / version.use_case / "examples" / "context.npz")
    challenger = Predictor(use_case, models / "bundle")
    if champion is None:
        return compare_models(challenger, None, frame, context, gate)
    name = f"version {champion.number}"
    with tempfile.TemporaryDirectory(prefix="vigie-champion-") as folder:
        try:
            holder = Predictor(use_case, registry.download(champion, Path(folder) / "bundle"))
            holder.predict(column_tools.from_frame(use_case.serving.request, frame.head(2)), context)
        except Exception as error:  # noqa: BLE001 - an old bundle can fail in new code in any way
            said = str(error) if isinstance(error, VigieError) else f"{type(error).__name__}: {error}"
            reason = f"The champion, {name}, cannot be run by this code, so nothing can be compared with it ({said})."
            by_hand = f"Look at the metrics and promote by hand: ./vigie promote {use_case.name} {version.number}"
            return Decision("refused", (reason, by_hand), name, champion.number)
        made = compare_models(challenger, holder, frame, context, gate, champion_name=name)
        return replace(made, champion=champion.number)


def _last_promoted(versions: Iterable[RegisteredVersion]) -> RegisteredVersion | None:
    """Return the version that was promoted last and not rolled back: the champion, unless its alias was removed."""
    promoted = [item for item in versions if item.tags.get(Tag.PROMOTED) and not item.tags.get(Tag.ROLLED_BACK)]
    return max(promoted, key=lambda item: item.tags[Tag.PROMOTED], default=None)


_VERSION_NAME = re.compile(r"version (\d+)")
_OUTCOMES: dict[str, Outcome] = {"passed": "passed", "refused": "refused"}


def candidate_version(registry: ModelRegistry, home: VigiePaths, use_case: str) -> RegisteredVersion | None:
    """Find the registered version that holds the published candidate, with its aliases; None if not registered."""
    bundle = home.models(use_case) / "bundle"
    if not bundle.is_dir():
        return None
    found = registry.by_hash(use_case, bundle_hash(read_manifest(bundle)))
    return None if found is None else registry.version(use_case, found.number)


def previous_decision(
    registry: ModelRegistry, home: VigiePaths, use_case: str
) -> tuple[RegisteredVersion, Decision] | None:
    """Read the gate's decision on the published candidate from its tags, if it was made against today's champion."""
    version, champion = candidate_version(registry, home, use_case), registry.by_alias(use_case, CHAMPION)
    if version is None or version.tags.get(Tag.ROLLED_BACK) or version.tags.get(Tag.GATE) not in _OUTCOMES:
        return None
    if champion is not None and champion.number == version.number:
        return None
    number = None if champion is None else champion.number
    if compared_champion(version) != number:
        return None
    reasons = (version.tags.get(Tag.GATE_REASONS, ""),)
    return version, Decision(
        _OUTCOMES[version.tags[Tag.GATE]], reasons, version.tags.get(Tag.COMPARED_WITH, ""), number
    )


def gate_verdict(version: RegisteredVersion, champion: RegisteredVersion | None) -> tuple[bool, list[str]]:
    """Decide whether the gate lets the version take the place of this champion; return that and why (not)."""
    said = [version.tags[Tag.GATE_REASONS]] if version.tags.get(Tag.GATE_REASONS) else []
    if champion is not None and champion.number == version.number:
        return False, ["It is the champion already."]
    if version.tags.get(Tag.ROLLED_BACK):
        when = version.tags[Tag.ROLLED_BACK]
        return False, [f"Version {version.number} was rolled back on {when}; promote it by hand."]
    outcome = version.tags.get(Tag.GATE)
    if outcome is None:
        return False, [f"The gate has not judged version {version.number}."]
    if outcome != "passed":
        return False, said or ["The gate refused it."]
    now = None if champion is None else champion.number
    if compared_champion(version) != now:
        holder = "none" if now is None else f"version {now}"
        return False, [
            f"The gate compared it with {version.tags.get(Tag.COMPARED_WITH)}; the champion is {holder} now."
        ]
    return True, said


def compared_champion(version: RegisteredVersion) -> int | None:
    """Return the number of the champion that the gate compared the version with; None for the baseline."""
    found = _VERSION_NAME.fullmatch(version.tags.get(Tag.COMPARED_WITH, ""))
    return int(found[1]) if found else None
