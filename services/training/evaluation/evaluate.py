"""Scores a bundle on its test set and writes metrics, subgroup metrics, plots and the model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.core.bundle.calibration import BinaryCalibration, FusionCalibration
from services.core.bundle.manifest import BundleManifest
from services.core.bundle.predictor import Predictor
from services.core.contract.use_case import BinaryClassification, LateFusion, OnnxEstimator, Regression, Target, UseCase
from services.core.params import Evaluate
from services.core.scoring.metrics import metric_of
from services.core.scoring.report import build_report, compute_metrics
from services.core.scoring.scored_predictions import predict_with_baseline, score_variants
from services.training.evaluation import plots
from services.training.evaluation.test_set import (
    SubgroupMetrics,
    frozen_test_set,
    measure_subgroups,
    predict_out_of_fold,
    subgroup_labels,
)

if TYPE_CHECKING:
    import pandas as pd


_EXTREMES = 5
_PARTS = ("train", "calibrate", "test")


def model_card(
    predictor: Predictor,
    report: Mapping[str, Any],
    subgroups: SubgroupMetrics,
    shares: Mapping[str, Mapping[str, float]],
) -> str:
    """Write the text of the model card: metrics beside the baseline's, targets, weakest subgroups, limits, provenance.

    Args:
        predictor: The evaluated model.
        report: Content of ``metrics.json``.
        subgroups: Metrics of each subgroup.
        shares: Target -> request field -> its feature importance, as a share of 1.

    Returns:
        Markdown.
    """
    use_case, manifest = predictor.use_case, predictor.manifest
    lines = [f"# {use_case.presentation.title.en}", ""]
    if manifest.simulated:
        lines += ["> **Made from simulated data.** Its figures say nothing about real calls.", ""]
    made = f"Bundle `{predictor.hash[:12]}`, made {manifest.created}."
    unseen = (
        "Metrics come from repeated cross-validation: every row was answered by those boosters alone that did not "
        "learn from its group; what is served, all of them together, is a little better. Calibration rests on the "
        "same answers."
        if any(item.left_out for item in manifest.targets.values())
        else "Metrics are those of the test slice, which neither the models nor their calibration have seen."
    )
    lines += [use_case.presentation.description.en, "", f"{made} {unseen}", "", "## Targets", ""]
    lines += ["| target | model | baseline |", "|---|---|---|"]
    lines += [_metrics_row(use_case, name, report) for name in report["metrics"]]
    for target in use_case.modelling.targets:
        lines += ["", f"## {target.title.en}", "", *_target(use_case, target, manifest, predictor, shares)]
        lines += _weakest_subgroups(target, subgroups)
    lines += ["", "## Limits", "", *_limits(use_case, report)]
    lines += ["", "## What made it", ""]
    lines += _slices(use_case, manifest)
    spans = {f"{target.name}.{part}" for target in use_case.modelling.targets for part in _PARTS}
    source = {key: value for key, value in manifest.data.items() if key.rpartition(".")[0] not in spans}
    lines += [f"- {key}: {value}" for key, value in {**source, **manifest.versions}.items()]
    return "\n".join(lines) + "\n"


def _metrics_row(use_case: UseCase, name: str, report: Mapping[str, Any]) -> str:
    model, baseline = report["metrics"][name], report["baseline"].get(name, {})
    derived = {item.name: item.target for item in use_case.modelling.input_scenarios}
    derived |= {part.name: derived.get(part.target, part.target) for part in use_case.modelling.evaluation_slices}
    title = use_case.target(derived.get(name, name)).title.en + (f" ({name})" if name in derived else "")
    return f"| {title} | {_metric_values(model)} | {_metric_values(baseline)} |"


def _metric_values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items()) or "not defined on these rows"


def _target(
    use_case: UseCase,
    target: Target,
    manifest: BundleManifest,
    predictor: Predictor,
    shares: Mapping[str, Mapping[str, float]],
) -> list[str]:
    output, split = target.output, target.split or use_case.modelling.split
    rows = {part: manifest.data.get(f"{target.name}.{part}.rows", 0) for part in _PARTS}
    cut = "time" if split.kind == "time" else f"a hash of {use_case.data.group_column}"
    counts = f"{rows['train']:,} to learn from, {rows['calibrate']:,} to calibrate, {rows['test']:,} to test"
    lines = [f"Rows: {counts}, cut by {cut}; {use_case.data.group_column} is never divided."]
    if split.kind == "cross":
        validated = f"Cross-validated {split.repeats} times in {split.folds} parts by {cut}, cut anew each time"
        lines = [
            f"Rows: {rows['test']:,}, too few for slices. {validated}; {use_case.data.group_column} is never divided."
        ]
    if isinstance(output, Regression):
        lines.append(f"A {output.coverage:.0%} interval in {output.unit}, conformalised on the calibration slice.")
    elif isinstance(output, BinaryClassification):
        calibration = predictor.calibration(target.name)
        assert isinstance(calibration, BinaryCalibration)
        lines.append(
            f"Decides at {calibration.threshold:.3f}, where a miss costs {output.cost_of_miss:g} and a false alarm"
            f" {output.cost_of_false_alarm:g}."
        )
    top = list(shares[target.name].items())[:6]
    if isinstance(target.learner, LateFusion):
        fusion = predictor.calibration(target.name)
        assert isinstance(fusion, FusionCalibration)
        said = "; ".join(
            f"{expert.name} from {' and '.join(expert.fields)}"
            + ("" if fusion.subsets[expert.name].slopes[expert.name] else " (weighs nothing)")
            for expert in target.learner.modality_models
        )
        lines.append(f"Late fusion of experts: {said}. They are weighed by what they said of training rows that they")
        lines.append(f"had not learned from. {len(manifest.targets[target.name].labels)} classes, learned from data.")
    by = "what is lost without them" if isinstance(target.learner, LateFusion) else "share of gain"
    if isinstance(target.learner, OnnxEstimator):
        lines.append(f"Learned by {manifest.targets[target.name].estimator}, converted to ONNX.")
        by = "what is lost when their values are shuffled"
    lines.append(f"Inputs by {by}: " + ", ".join(f"{field} {share:.0%}" for field, share in top) + ".")
    return lines


def _weakest_subgroups(target: Target, subgroups: SubgroupMetrics) -> list[str]:
    """List the subgroups where the deciding metric is worst."""
    metric = metric_of(target, target.metric)
    found = [
        (values[target.name][target.metric], int(values[target.name]["rows"]), f"{column} {group}")
        for column, groups in subgroups.items()
        for group, values in groups.items()
        if target.metric in values.get(target.name, {})
    ]
    found.sort(key=lambda entry: metric.gain(entry[0], 0.0))
    if not found:
        return []
    listed = "; ".join(f"{name} {value:.4g} ({rows:,} rows)" for value, rows, name in found[:_EXTREMES])
    return [f"Weakest subgroups by {target.metric}: {listed}."]


def _slices(use_case: UseCase, manifest: BundleManifest) -> list[str]:
    lines = ["| target | slice | rows | from | to |", "|---|---|---:|---|---|"]
    for target in use_case.modelling.targets:
        for part in _PARTS:
            rows = manifest.data.get(f"{target.name}.{part}.rows", 0)
            start, end = (manifest.data.get(f"{target.name}.{part}.{key}", "") for key in ("from", "to"))
            lines.append(f"| {target.title.en} | {part} | {rows:,} | {str(start)[:16]} | {str(end)[:16]} |")
    return [*lines, ""]


def _limits(use_case: UseCase, report: Mapping[str, Any]) -> list[str]:
    fields = ", ".join(use_case.serving.request.model_fields)
    where = "It was tested on rows that follow or stand beside those it learned from, in the same places"
    lines = [f"- {where}; elsewhere and later it has to be measured again."]
    lines += [f"- Requests carry: {fields}. A missing optional field blurs the answer."]
    lines += [f"- Not measured: {name} ({reason})." for name, reason in report.get("omitted", {}).items()]
    return lines


def evaluate(
    use_case: UseCase,
    examples: pd.DataFrame,
    context: Mapping[str, Any],
    *,
    bundle: Path,
    params: Evaluate,
    folder: Path,
) -> dict[str, Any]:
    """Score a bundle on its frozen test set and write metrics, subgroup metrics, plots and the model card.

    Written are ``metrics.json``, ``subgroups.json``, ``model_card.md``, ``plots/`` and ``test.parquet``.

    Args:
        use_case: What the bundle answers.
        examples: All examples, one row each (n rows); those of the test slices are scored.
        context: What features read beside requests.
        bundle: Folder of the bundle.
        params: Parameters of the evaluation stage.
        folder: Where files are written; made anew.

    Returns:
        What ``metrics.json`` holds: the scoring report, the baseline's metrics beside the model's, and every metric
        that is not among the reported.
    """
    predictor = Predictor(use_case, bundle)
    frame = frozen_test_set(use_case, examples)
    found = score_variants(use_case, frame, context, predict_out_of_fold(predictor, frame))
    baseline = score_variants(use_case, frame, context, predict_with_baseline(use_case))
    report = build_report(use_case, len(frame), found, version=predictor.hash[:12])
    report["baseline"] = build_report(use_case, len(frame), baseline, version="baseline")["metrics"]
    report["every_metric"] = {item.name: compute_metrics(item)[0] for item in found}
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
    words = {subgroup: subgroup_labels(frame[subgroup.column]) for subgroup in use_case.modelling.subgroups}
    for item in found:
        if item.name == item.target.name:
            chosen = [(subgroup, names[item.rows]) for subgroup, names in words.items()]
            plots.target_plots(item, chosen, folder / "plots")
    plots.importance_plot(use_case.modelling.targets, report["importance"], folder / "plots")
    return report


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
