"""The two steps after evaluation: register and gate, then promote if the gate allows it. Both are
idempotent by the bundle's hash."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from services.core import params
from services.core.bundle.predictor import Predictor, load_arrays
from services.core.errors import VigieError
from services.core.home import Home
from services.core.params import Gate
from services.core.registry.client import Registry
from services.core.registry.version import CHAMPION, Version
from services.core.settings import CHECKOUT
from services.core.usecases import columns as column_tools
from services.core.usecases import registry as declared
from services.training import baseline_tables
from services.training.gate.decision import Decision
from services.training.gate.judge import judge
from services.training.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    home: Home, use_case: str, version: Version, decision: Decision, *, registry: Registry | None = None
) -> bool:
    """Move ``champion`` to the version if the gate passed it. Whether it moved.

    Raises:
        VigieError: the champion is no longer the one that the gate compared with.
    """
    if not decision.promote:
        return False
    registry = registry or Registry.open(home)
    champion = registry.promote(use_case, version.number, compared_with=decision.champion)
    baseline_tables.publish(home, registry, champion)
    return True


def rollback(home: Home, use_case: str, *, registry: Registry | None = None) -> Version:
    """Make the previous champion the champion again."""
    return (registry or Registry.open(home)).rollback(use_case)


def _decide(
    registry: Registry, workspace: Workspace, version: Version, champion: Version | None, gate: Gate
) -> Decision:
    import pandas as pd  # noqa: PLC0415

    if version.tags.get("rolled_back"):
        reason = f"Version {version.number} was rolled back on {version.tags['rolled_back']}; promote it by hand."
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
