"""What the gate has said of a version before: its decision stands in the version's tags."""

from __future__ import annotations

import re

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.home import Home
from services.core.registry.client import Registry
from services.core.registry.version import CHAMPION, Tag, Version
from services.training.gate.decision import Decision, Outcome

_NUMBERED = re.compile(r"version (\d+)")
_OUTCOMES: dict[str, Outcome] = {"passed": "passed", "refused": "refused"}


def candidate(registry: Registry, home: Home, use_case: str) -> Version | None:
    """The version that holds the published candidate, with its aliases."""
    bundle = home.models(use_case) / "bundle"
    if not bundle.is_dir():
        return None
    found = registry.by_hash(use_case, bundle_hash(read_manifest(bundle)))
    return None if found is None else registry.version(use_case, found.number)


def judged_decision(registry: Registry, home: Home, use_case: str) -> tuple[Version, Decision] | None:
    """The decision on the published candidate, if it was made against today's champion."""
    version, champion = candidate(registry, home, use_case), registry.by_alias(use_case, CHAMPION)
    if version is None or version.tags.get(Tag.ROLLED_BACK) or version.tags.get(Tag.GATE) not in _OUTCOMES:
        return None
    if champion is not None and champion.number == version.number:
        return None
    number = None if champion is None else champion.number
    if compared_with(version) != number:
        return None
    reasons = (version.tags.get(Tag.GATE_REASONS, ""),)
    return version, Decision(
        _OUTCOMES[version.tags[Tag.GATE]], reasons, version.tags.get(Tag.COMPARED_WITH, ""), number
    )


def passed_against(version: Version, champion: Version | None) -> tuple[bool, list[str]]:
    """Whether the gate lets the version take the place of this champion, and why (not)."""
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
    if compared_with(version) != now:
        holder = "none" if now is None else f"version {now}"
        return False, [
            f"The gate compared it with {version.tags.get(Tag.COMPARED_WITH)}; the champion is {holder} now."
        ]
    return True, said


def compared_with(version: Version) -> int | None:
    """Number of the champion that the gate compared the version with; None for the baseline."""
    found = _NUMBERED.fullmatch(version.tags.get(Tag.COMPARED_WITH, ""))
    return int(found[1]) if found else None
