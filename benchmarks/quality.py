"""How good the models are on real data, beside what anyone would try first.

    .venv/bin/python benchmarks/quality.py [--data ../shared/data] [--write docs/benchmarks/quality.md]

The latest share of each use case's examples is held out before anything is trained; Vigie's own
split into training, calibration and test slices happens inside what is left. All contenders are scored
on the rows that were held out, by the code that scores bundles everywhere.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from benchmarks import prepared_2021  # noqa: E402
from benchmarks.quality_references import (  # noqa: E402
    REFERENCES,
    REFERENCES_OF_FEW_ROWS,
    REFERENCES_OF_PICTURES,
    fitted_classifier,
    fitted_reference,
)
from services.core import (  # noqa: E402
    params,
    use_case_registry,
)
from services.core.bundle.predictor import Predictor  # noqa: E402
from services.core.contract.use_case import UseCase, learned_class_targets  # noqa: E402
from services.core.raw_files.reader import read_folder  # noqa: E402
from services.core.scoring.report import build_report  # noqa: E402
from services.core.scoring.scored_predictions import (  # noqa: E402
    PredictFunction,
    predict_with_baseline,
    predict_with_model,
    score_variants,
)
from services.training.stage.splitting import hash_fractions  # noqa: E402
from services.training.stage.train import train  # noqa: E402

KEPT_APART = 0.15
FEW_ROWS = 10_000
FOLDERS = {
    "fire_response": "fire_response",
    "road_accidents": "road_accidents/2024-jan-sep",
    "rain_tomorrow": "rain_tomorrow",
    "wine_quality": "wine_quality",
    "product_category": "product_category",
}
"""Use case -> folder of real data below --data."""


def kept_apart(use_case: UseCase, examples: pd.DataFrame) -> pd.Series:
    """The rows held out: the last ones in time, of each period where data comes in periods; without time those
    of some groups. Rows of one group stay together."""
    if "event_time" not in examples:
        groups = examples[use_case.data.group_column].astype(str)
        return pd.Series(hash_fractions(groups.tolist(), "kept apart") > 1 - KEPT_APART, index=examples.index)
    by = examples.groupby(use_case.modelling.split.within)["event_time"] if use_case.modelling.split.within else None
    rank = by.rank(pct=True) if by is not None else examples["event_time"].rank(pct=True)
    apart: pd.Series = rank.groupby(examples[use_case.data.group_column]).transform("max") > 1 - KEPT_APART
    return apart


def compare(use_case: UseCase, folder: Path) -> Iterator[tuple[str, dict[str, Any], float]]:
    """Contender, its report on the rows held out, seconds of training."""
    tables = read_folder(use_case.name, folder)
    examples = use_case.raw.build_examples(tables)
    reference, context = use_case.raw.lookup_tables(tables), use_case.raw.training_context(tables)
    apart = kept_apart(use_case, examples)
    past, later = examples[~apart].reset_index(drop=True), examples[apart].reset_index(drop=True)
    baseline = score_variants(use_case, later, context, predict_with_baseline(use_case))
    yield "declared baseline", build_report(use_case, len(later), baseline, version="baseline"), 0.0
    for name, fit in references(use_case, past).items():
        started = time.perf_counter()
        answer = fit()
        seconds = time.perf_counter() - started
        yield (
            name,
            build_report(use_case, len(later), score_variants(use_case, later, context, answer), version=name),
            seconds,
        )
    chosen = params.load_params(CHECKOUT).including(use_case.name).of(use_case.name).train
    with tempfile.TemporaryDirectory() as beside:
        started = time.perf_counter()
        bundle = train(
            use_case, past, reference, context, params=chosen, folder=Path(beside) / "bundle", simulated=False
        )
        seconds = time.perf_counter() - started
        predictor = Predictor(use_case, bundle)
        found = score_variants(use_case, later, context, predict_with_model(predictor))
        yield "Vigie", build_report(use_case, len(later), found, version="Vigie"), seconds


def references(use_case: UseCase, past: pd.DataFrame) -> dict[str, Callable[[], PredictFunction]]:
    """Name of a reference -> what fits it. Where classes are learned, references see the texts alone."""
    if learned_class_targets(use_case):
        return {
            name: partial(fitted_classifier, use_case, past, pictured)
            for name, pictured in REFERENCES_OF_PICTURES.items()
        }
    few = REFERENCES_OF_FEW_ROWS if len(past) <= FEW_ROWS else {}
    return {name: partial(fitted_reference, use_case, past, maker) for name, maker in {**REFERENCES, **few}.items()}


def table(use_case: UseCase, results: list[tuple[str, dict[str, Any], float]]) -> list[str]:
    rows = results[0][1]["rows"]
    names = [name for name, _, _ in results]
    timed = use_case.modelling.split.kind == "time"
    lines = [
        f"## {use_case.presentation.title.en} (`{use_case.name}`)",
        "",
        f"{rows:,} examples held out, {'the latest' if timed else 'groups by a hash,'} {KEPT_APART:.0%}.",
        "",
        "| target | metric | " + " | ".join(names) + " |",
        "|---|---|" + "---:|" * len(names),
    ]
    for target, metrics in results[-1][1]["metrics"].items():
        for metric in metrics:
            values = [report["metrics"].get(target, {}).get(metric, np.nan) for _, report, _ in results]
            cells = ["" if np.isnan(value) else _number(value) for value in values]
            lines.append(f"| {target} | {metric} | " + " | ".join([*cells[:-1], f"**{cells[-1]}**"]) + " |")
    lines.append("| training | seconds | " + " | ".join(f"{seconds:.1f}" for _, _, seconds in results) + " |")
    return [*lines, ""]


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("VIGIE_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default, help="folder of the real public data")
    parser.add_argument("--write", type=Path, help="also write the tables into this page")
    parser.add_argument("--only", help="one use case, or prepared-2021")
    chosen = parser.parse_args()
    lines = [
        "# How good are the models on real data?",
        "",
        "Written by `benchmarks/quality.py`; run it again to repeat every figure. The latest rows (without time,",
        "some groups) are held out before anything is trained; the same code scores every contender on them. The",
        "references see the request's fields as they come: the average (median or class shares), a ridge or logistic",
        "regression on one-hot words, XGBoost with 200 trees of depth 6 on ordinal codes; where there are few rows,",
        "500 extremely randomised trees. Where classes are learned from texts and pictures, the references see the",
        "texts alone: the classes' shares, and logistic regression on TF-IDF of words and pairs of words.",
        "",
    ]
    for name, folder in FOLDERS.items():
        if chosen.only in {None, name}:
            lines += table(
                use_case_registry.get(name), list(compare(use_case_registry.get(name), chosen.data / folder))
            )
            print("\n".join(lines[-20:]), flush=True)
    if chosen.only in {None, "prepared-2021"}:
        lines += prepared_2021.as_markdown(prepared_2021.run(chosen.data))
    if chosen.write:
        chosen.write.parent.mkdir(parents=True, exist_ok=True)
        chosen.write.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
