"""Scoring a bundle on its test slice and writing everything that people and the gate read of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.core.bundle.predictor import Predictor
from services.core.params import Evaluate
from services.core.scoring.answers import answers, of_baseline
from services.core.scoring.report import measure, report_of
from services.core.usecases.contract import UseCase
from services.training.cross import of_unseen
from services.training.evaluation import plots
from services.training.evaluation.card import model_card
from services.training.evaluation.frozen import frozen_rows
from services.training.evaluation.subgroups import group_names, measure_subgroups

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    use_case: UseCase,
    examples: pd.DataFrame,
    context: Mapping[str, Any],
    *,
    bundle: Path,
    params: Evaluate,
    folder: Path,
) -> dict[str, Any]:
    """Write ``metrics.json``, ``subgroups.json``, ``model_card.md``, ``plots/`` and ``test.parquet``
    into ``folder`` (made anew) and return the report that ``metrics.json`` holds: the scoring report,
    the baseline's metrics beside the model's, and every metric that is not among the reported."""
    predictor = Predictor(use_case, bundle)
    frame = frozen_rows(use_case, examples)
    found = answers(use_case, frame, context, of_unseen(predictor, frame))
    baseline = answers(use_case, frame, context, of_baseline(use_case))
    report = report_of(use_case, len(frame), found, version=predictor.hash[:12])
    report["baseline"] = report_of(use_case, len(frame), baseline, version="baseline")["metrics"]
    report["every_metric"] = {item.name: measure(item)[0] for item in found}
    report |= {"bundle_hash": predictor.hash, "simulated": predictor.manifest.simulated}
    report["importance"] = json.loads((bundle / "importance.json").read_text(encoding="utf-8"))
    subgroups = measure_subgroups(use_case, frame, found, params.subgroup_rows)

    shutil.rmtree(folder, ignore_errors=True)
    (folder / "plots").mkdir(parents=True)
    _write_json(folder / "metrics.json", report)
    _write_json(folder / "subgroups.json", subgroups)
    card = model_card(predictor, report, subgroups, report["importance"])
    (folder / "model_card.md").write_text(card, encoding="utf-8")
    frame.to_parquet(folder / "test.parquet", index=False)
    words = {subgroup: group_names(frame[subgroup.column]) for subgroup in use_case.subgroups}
    for item in found:
        if item.name == item.target.name:
            chosen = [(subgroup, names[item.rows]) for subgroup, names in words.items()]
            plots.target_plots(item, chosen, folder / "plots")
    plots.importance_plot(use_case.targets, report["importance"], folder / "plots")
    return report


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
