"""The model card: what a bundle is for, what it was made from and how good it is, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.bundle.calibration import ProbabilityCalibration
from services.core.bundle.manifest import Manifest
from services.core.bundle.predictor import Predictor
from services.core.scoring.metrics import metric_of
from services.core.usecases.contract import LateFusion, Probability, Quantity, Target, UseCase
from services.training.evaluation.subgroups import Measured

_EXTREMES = 5
_PARTS = ("train", "calibrate", "test")


def model_card(
    predictor: Predictor,
    report: Mapping[str, Any],
    subgroups: Measured,
    shares: Mapping[str, Mapping[str, float]],
) -> str:
    use_case, manifest = predictor.use_case, predictor.manifest
    lines = [f"# {use_case.title.en}", ""]
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
    lines += [use_case.description.en, "", f"{made} {unseen}", "", "## Targets", ""]
    lines += ["| target | model | baseline |", "|---|---|---|"]
    lines += [_row(use_case, name, report) for name in report["metrics"]]
    for target in use_case.targets:
        lines += ["", f"## {target.title.en}", "", *_target(use_case, target, manifest, predictor, shares)]
        lines += _worst(target, subgroups)
    lines += ["", "## Limits", "", *_limits(use_case, report)]
    lines += ["", "## What made it", ""]
    lines += _slices(use_case, manifest)
    spans = {f"{target.name}.{part}" for target in use_case.targets for part in _PARTS}
    source = {key: value for key, value in manifest.data.items() if key.rpartition(".")[0] not in spans}
    lines += [f"- {key}: {value}" for key, value in {**source, **manifest.versions}.items()]
    return "\n".join(lines) + "\n"


def _row(use_case: UseCase, name: str, report: Mapping[str, Any]) -> str:
    model, baseline = report["metrics"][name], report["baseline"].get(name, {})
    derived = {item.name: item.target for item in use_case.variants}
    derived |= {part.name: derived.get(part.target, part.target) for part in use_case.parts}
    title = use_case.target(derived.get(name, name)).title.en + (f" ({name})" if name in derived else "")
    return f"| {title} | {_figures(model)} | {_figures(baseline)} |"


def _figures(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items()) or "not defined on these rows"


def _target(
    use_case: UseCase,
    target: Target,
    manifest: Manifest,
    predictor: Predictor,
    shares: Mapping[str, Mapping[str, float]],
) -> list[str]:
    output, split = target.output, target.split or use_case.split
    rows = {part: manifest.data.get(f"{target.name}.{part}.rows", 0) for part in _PARTS}
    cut = "time" if split.kind == "time" else f"a hash of {use_case.group}"
    counts = f"{rows['train']:,} to learn from, {rows['calibrate']:,} to calibrate, {rows['test']:,} to test"
    lines = [f"Rows: {counts}, cut by {cut}; {use_case.group} is never divided."]
    if split.kind == "cross":
        validated = f"Cross-validated {split.repeats} times in {split.folds} parts by {cut}, cut anew each time"
        lines = [f"Rows: {rows['test']:,}, too few for slices. {validated}; {use_case.group} is never divided."]
    if isinstance(output, Quantity):
        lines.append(f"A {output.coverage:.0%} interval in {output.unit}, conformalised on the calibration slice.")
    elif isinstance(output, Probability):
        calibration = predictor.calibration(target.name)
        assert isinstance(calibration, ProbabilityCalibration)
        lines.append(
            f"Decides at {calibration.threshold:.3f}, where a miss costs {output.cost_of_miss:g} and a false alarm"
            f" {output.cost_of_false_alarm:g}."
        )
    top = list(shares[target.name].items())[:6]
    if isinstance(target.learner, LateFusion):
        said = "; ".join(f"{expert.name} from {' and '.join(expert.fields)}" for expert in target.learner.experts)
        lines.append(f"Late fusion of experts: {said}. They are weighed by what they said of training rows that they")
        lines.append(f"had not learned from. {len(manifest.targets[target.name].labels)} classes, learned from data.")
    by = "what is lost without them" if isinstance(target.learner, LateFusion) else "share of gain"
    lines.append(f"Inputs by {by}: " + ", ".join(f"{field} {share:.0%}" for field, share in top) + ".")
    return lines


def _worst(target: Target, subgroups: Measured) -> list[str]:
    """The subgroups where the deciding metric is worst."""
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


def _slices(use_case: UseCase, manifest: Manifest) -> list[str]:
    lines = ["| target | slice | rows | from | to |", "|---|---|---:|---|---|"]
    for target in use_case.targets:
        for part in _PARTS:
            rows = manifest.data.get(f"{target.name}.{part}.rows", 0)
            start, end = (manifest.data.get(f"{target.name}.{part}.{key}", "") for key in ("from", "to"))
            lines.append(f"| {target.title.en} | {part} | {rows:,} | {str(start)[:16]} | {str(end)[:16]} |")
    return [*lines, ""]


def _limits(use_case: UseCase, report: Mapping[str, Any]) -> list[str]:
    fields = ", ".join(use_case.request.model_fields)
    where = "It was tested on rows that follow or stand beside those it learned from, in the same places"
    lines = [f"- {where}; elsewhere and later it has to be measured again."]
    lines += [f"- Requests carry: {fields}. A missing optional field blurs the answer."]
    lines += [f"- Not measured: {name} ({reason})." for name, reason in report.get("omitted", {}).items()]
    return lines
