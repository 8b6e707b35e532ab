"""What the gate decided, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from services.core.registry.version import Tag
from services.training.gate.bootstrap import Gain

Outcome = Literal["passed", "refused", "unchanged"]


@dataclass(frozen=True, slots=True)
class Check:
    """One guard. ``limit`` is how much worse the metric may get, in its unit."""

    name: str
    metric: str
    limit: float
    measured: Gain
    rows: int


@dataclass(frozen=True, slots=True)
class Decision:
    outcome: Outcome
    reasons: tuple[str, ...]
    """Sentences for people: why it was refused, or what it passed on."""
    compared_with: str = ""
    champion: int | None = None
    """Number of the version that it was compared with; None for the baseline."""
    deciding: Check | None = None
    checks: tuple[Check, ...] = ()
    latency_ms: float = 0.0
    bundle_mb: float = 0.0
    resampled: str = ""

    @property
    def promote(self) -> bool:
        return self.outcome == "passed"

    def tags(self) -> dict[str, str]:
        """For the version in the registry."""
        tags = {Tag.GATE: self.outcome, Tag.GATE_REASONS: " ".join(self.reasons), Tag.COMPARED_WITH: self.compared_with}
        if self.deciding is not None:
            measured = self.deciding.measured
            tags |= {
                Tag.GATE_METRIC: f"{self.deciding.name} {self.deciding.metric}",
                Tag.GAIN: f"{measured.gain:.6g}",
                Tag.BOUND: f"{measured.bound:.6g}",
                Tag.GATE_ROWS: str(self.deciding.rows),
            }
        return tags

    def as_json(self) -> dict[str, Any]:
        """For people and programs; numbers that are not finite become null, as JSON has none."""
        content: dict[str, Any] = _finite({"promote": self.promote, **asdict(self)})
        return content


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
