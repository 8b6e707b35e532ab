"""How often the gate errs: a worse model promoted, a better one refused, by number of test rows.

Simulated models with known quality answer simulated calls; the whole gate judges them, guards
included. ``python -m benchmarks.gate_error_rates`` writes the table into ``docs/gate.md``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from services.core.bundle.predictor import Prediction, Predictor
from services.core.contract.use_case import BinaryPrediction, MultiClassPrediction, RegressionPrediction
from services.core.params import Gate
from services.training.gate.compare import compare_models
from services.training.gate.decision import Decision
from tests.toy.declaration import SIZES, USE_CASE

OUTCOME_NOISE = 100.0
"""What no model can know, in seconds."""
CHAMPION_ERROR = 60.0
"""The champion's own error, in seconds, on top of that."""
SHARED = 0.8
"""Correlation of two models' own errors: they learned from nearly the same data."""
ROWS = (250, 500, 1_000, 2_000, 4_000)
BETTER = (-0.05, -0.02, 0.0, 0.02, 0.05, 0.10)
"""How much smaller the challenger's mean absolute error truly is."""
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "gate.md"
BEGIN, END = "<!-- error rates: begin -->", "<!-- error rates: end -->"


class SimulatedModel:
    """Answers like a bundle's predictor, with errors of a known size."""

    def __init__(self, name: str, seed: int, error: float, folder: Path, *, probability_noise: float = 0.3) -> None:
        self.use_case, self.hash, self.folder = USE_CASE, name, folder
        self.manifest = SimpleNamespace(targets={})
        self._seed, self._error, self._probability_noise = seed, error, probability_noise

    def predict(self, columns: Mapping[str, NDArray[Any]], _context: Mapping[str, Any]) -> Prediction:
        when = columns["called_at"]
        own = SHARED**0.5 * noise(when, 1) + (1 - SHARED) ** 0.5 * noise(when, self._seed)
        expected = expected_seconds(columns["distance"])
        value = expected + self._error * own
        spread = 1.645 * (OUTCOME_NOISE**2 + self._error**2) ** 0.5
        chance = 1 / (1 + np.exp(-(expected - 600) / OUTCOME_NOISE * 1.7 - self._probability_noise * own))
        letter = np.array([float(kind == "letter") for kind in columns["kind"]])
        sizes = np.column_stack([0.1 + 0.8 * letter, 0.5 - 0.4 * letter, 0.4 - 0.4 * letter])
        return Prediction(
            {
                "seconds": RegressionPrediction(value, value - spread, value + spread),
                "late": BinaryPrediction(chance, 0.4),
                "size": MultiClassPrediction(sizes, SIZES),
            },
            {"letter": letter},
        )


def expected_seconds(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return 60 + 120 * distance


def noise(when: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Standard normal, the same for the same moment and seed (SplitMix64)."""
    with np.errstate(over="ignore"):
        mixed = (when * 1e3).astype(np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return ndtri((mixed >> np.uint64(11)).astype(np.float64) / 2**53 * (1 - 2e-12) + 1e-12)


def calls(rows: int, seed: int, days: int = 20) -> pd.DataFrame:
    """Test rows, two to an incident; both of an incident share half of what no model can know."""
    rng = np.random.default_rng(seed)
    when = pd.Timestamp("2024-03-01", tz="UTC") + pd.to_timedelta(np.sort(rng.uniform(0, days, rows)), unit="D")
    distance = rng.gamma(2.0, 2.0, rows)
    common = np.repeat(rng.normal(size=(rows + 1) // 2), 2)[:rows]
    surprise = OUTCOME_NOISE * (0.5**0.5 * common + 0.5**0.5 * rng.normal(size=rows))
    seconds = expected_seconds(distance) + surprise
    kind = rng.choice(["letter", "parcel"], rows)
    size = np.where(kind == "letter", rng.choice(3, rows, p=[0.9, 0.1, 0.0]), rng.choice(3, rows, p=[0.1, 0.5, 0.4]))
    return pd.DataFrame(
        {
            "delivery_id": [f"D{number // 2}" for number in range(rows)],
            "called_at": when.as_unit("us"),
            "event_time": when.as_unit("us"),
            "distance": distance,
            "kind": kind,
            "town": rng.choice(["east", "west"], rows),
            "seconds": seconds,
            "late": (seconds > 600).astype(float),
            "size": size.astype(float),
        }
    )


def error_for(better: float) -> float:
    """The own error of a model whose mean absolute error is smaller than the champion's by this share."""
    whole = (OUTCOME_NOISE**2 + CHAMPION_ERROR**2) ** 0.5 * (1 - better)
    return float((whole**2 - OUTCOME_NOISE**2) ** 0.5)


def decide(rows: int, better: float, seed: int, folder: Path, gate: Gate) -> Decision:
    """One challenger, ``better`` by this share, judged on fresh rows."""
    champion = SimulatedModel("champion", 2, CHAMPION_ERROR, folder)
    challenger = SimulatedModel("challenger", 3, error_for(better), folder)
    return compare_models(cast("Predictor", challenger), cast("Predictor", champion), calls(rows, seed), {}, gate)


def promoted_share(rows: int, better: float, repeats: int, folder: Path, gate: Gate) -> float:
    return float(np.mean([decide(rows, better, 1_000 + number, folder, gate).promote for number in range(repeats)]))


def table(repeats: int, folder: Path, gate: Gate) -> str:
    lines = [
        "| test rows | " + " | ".join(_words(better) for better in BETTER) + " |",
        "|---:|" + "---:|" * len(BETTER),
    ]
    for rows in ROWS:
        began = time.perf_counter()
        shares = [promoted_share(rows, better, repeats, folder, gate) for better in BETTER]
        lines.append(f"| {rows:,} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
        print(lines[-1], f"{time.perf_counter() - began:.0f} s", flush=True)
    return "\n".join(lines)


def _words(better: float) -> str:
    return "equally good" if better == 0 else f"{abs(better):.0%} {'better' if better > 0 else 'worse'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=300)
    chosen = parser.parse_args()
    folder = Path(__file__).parent  # its size stands for a bundle's
    gate = Gate(bootstrap=500, max_latency_ratio=100)
    made = table(chosen.repeats, folder, gate)
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{DOCUMENT} lacks the marks {BEGIN} and {END}")
    said = f"Share of challengers promoted, {chosen.repeats} simulated contests per cell:"
    DOCUMENT.write_text(f"{before}{BEGIN}\n{said}\n\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
