"""Live error of the versions that answered the calls, overall and by segment, beside their error on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.contract.use_case import BinaryPrediction, TargetPrediction, UseCase
from services.core.model_registry.version import RegisteredVersion
from services.core.params import Monitoring
from services.core.scoring.metrics import metrics_of
from services.core.scoring.scored_predictions import align_labels, take_rows
from services.drift.models import HoldoutReference, ModelVersions
from services.drift.performance import comparison, degradation
from services.drift.performance.comparison import LabelledPredictions
from services.drift.performance.degradation import LossSample
from services.drift.statistics import CENTRE, HOUR, loss_name, row_losses, segment_columns
from services.drift.verdict import MonitoringResult
from services.drift.window import day_numbers

MAX_GROUPS = 60


def measure_live_error(
    look: MonitoringResult,
    use_case: UseCase,
    window: pd.DataFrame,
    prediction: Any,
    *,
    frozen: HoldoutReference,
    version: RegisteredVersion,
    params: Monitoring,
) -> None:
    """Measure the champion's live error, overall and by segment; quality, estimates and findings go into ``look``.

    Args:
        look: result of the run, which is filled.
        use_case: declares targets and subgroups.
        window: n calls with labels, see ``read_window``.
        prediction: the champion's predictions and facts for the n calls.
        frozen: its predictions on k held-out rows.
        version: the champion.
        params: limits, significance and least numbers of rows.
    """
    own = window["call_version"].to_numpy(dtype=object) == str(version.number)
    complete = _add_derived_columns(use_case, window)
    groups = segment_columns(use_case, complete, prediction.extras, frozen.sample)
    reference_groups = segment_columns(use_case, frozen.frame, frozen.extras, frozen.sample)
    look.groups = groups
    day = day_numbers(window)
    seconds = window["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    labels = [target.label for target in use_case.modelling.targets]
    silent = np.flatnonzero(own & window[labels].isna().all(axis=1).to_numpy())
    judged = []
    for target in use_case.modelling.targets:
        label, value = align_labels(window[target.label], prediction.values[target.name])
        known = np.flatnonzero(own & ~np.isnan(label))
        before, before_value = align_labels(frozen.frame[target.label], frozen.values[target.name])
        there = np.flatnonzero(~np.isnan(before))
        if not len(there):
            continue
        frozen_value = take_rows(before_value, there)
        reference_loss = row_losses(before[there], frozen_value)
        scale = frozen.scale.get(target.name, 1.0)
        said = take_rows(value, known)
        answered = LabelledPredictions(target, label[known], said, day[known])
        look.estimates.append(
            comparison.estimated_performance(
                target,
                take_rows(value, silent),
                frozen=before_value,
                frozen_label=before,
                known=answered if len(known) else None,
                significance=params.significance,
            )
        )
        look.judged = max(look.judged, len(known))
        if len(known) < params.segment_rows:
            continue
        item = LossSample(
            target.name,
            row_losses(label[known], said),
            day[known],
            seconds[known],
            {name: words[known] for name, words in groups.items()},
            reference_loss,
            {name: words[there] for name, words in reference_groups.items()},
            scale,
        )
        judged.append(item)
        if isinstance(said, BinaryPrediction) and isinstance(frozen_value, BinaryPrediction):
            answered_chance = np.asarray(said.probability)
            live, usual = label[known] - answered_chance, before[there] - np.asarray(frozen_value.probability)
            for sign in (1.0, -1.0):
                signed = replace(item, loss=sign * live, reference_loss=sign * usual, scale=1.0)
                judged.append(replace(signed, answer=answered_chance, under=sign > 0))
        look.quality += _overall_entries(
            answered, version, frozen, frozen_label=before[there], frozen_value=frozen_value, params=params
        )
        look.quality += _segment_entries(
            answered,
            version,
            {name: words[known] for name, words in groups.items()},
            reference_loss=reference_loss * scale,
            reference_groups={name: words[there] for name, words in reference_groups.items()},
            params=params,
        )
    look.findings = degradation.find_degradations(judged, params)
    _mark_degraded(look, str(version.number))


def measure_other_versions(
    look: MonitoringResult,
    use_case: UseCase,
    window: pd.DataFrame,
    models: ModelVersions,
    *,
    champion: RegisteredVersion,
    params: Monitoring,
) -> None:
    """Measure the live loss of the versions that answered the window's other calls; entries go into ``look.quality``.

    Args:
        look: result of the run, which is filled.
        use_case: declares the targets.
        window: n calls with labels, see ``read_window``.
        models: loads the versions.
        champion: whose own calls are skipped.
        params: least number of rows and seed.
    """
    version = window["call_version"].to_numpy(dtype=object)
    day = day_numbers(window)
    for number in sorted({word for word in version.tolist() if word.isdigit() and int(word) != champion.number}):
        rows = np.flatnonzero(version == number)
        if len(rows) < params.segment_rows:
            continue
        predictor = models.predictor(models.registry.version(use_case.name, int(number)))
        if predictor is None:
            continue
        said = models.predict(predictor, window.iloc[rows])
        for target in use_case.modelling.targets:
            label, value = align_labels(window[target.label].iloc[rows], said.values[target.name])
            known = np.flatnonzero(~np.isnan(label))
            if len(known) < params.segment_rows:
                continue
            answered = LabelledPredictions(target, label[known], take_rows(value, known), day[rows][known])
            found = comparison.live_loss(answered, params.seed)
            if found is not None:
                look.quality.append(
                    {"target": target.name, "version": number, "reference": None, "breached": False, **found}
                )


def _overall_entries(
    answered: LabelledPredictions,
    version: RegisteredVersion,
    frozen: HoldoutReference,
    *,
    frozen_label: NDArray[np.float64],
    frozen_value: TargetPrediction,
    params: Monitoring,
) -> list[dict[str, Any]]:
    known, factor = metrics_of(answered.target), frozen.scale.get(answered.target.name, 1.0)
    made = []
    for entry in comparison.live_metrics(answered, params.seed):
        value = known[entry["metric"]].value(answered.target, frozen_label, frozen_value)
        if entry["metric"] == loss_name(answered.target):
            value *= factor
        reference = value if np.isfinite(value) else None
        made.append(
            {
                "target": answered.target.name,
                "version": str(version.number),
                "reference": None if reference is None else float(f"{reference:.6g}"),
                "breached": False,
                **entry,
            }
        )
    return made


def _segment_entries(
    answered: LabelledPredictions,
    version: RegisteredVersion,
    groups: Mapping[str, NDArray[Any]],
    *,
    reference_loss: NDArray[np.float64],
    reference_groups: Mapping[str, NDArray[Any]],
    params: Monitoring,
) -> list[dict[str, Any]]:
    """The loss of each segment with enough calls, the largest first."""
    sized = []
    for column, words in groups.items():
        values, counts = np.unique(words.astype(str), return_counts=True)
        sized += [
            (int(count), column, str(value))
            for value, count in zip(values, counts, strict=True)
            if count >= params.segment_rows and value
        ]
    made = []
    for _, column, value in sorted(sized, reverse=True)[:MAX_GROUPS]:
        found = comparison.live_loss(answered.at(np.flatnonzero(groups[column] == value)), params.seed)
        if found is None:
            continue
        frozen = reference_groups.get(column)
        own = reference_loss[frozen == value] if frozen is not None else np.empty(0)
        overall = float(reference_loss.mean())
        reference = (own.sum() + degradation.SHRINKAGE_ROWS * overall) / (len(own) + degradation.SHRINKAGE_ROWS)
        made.append(
            {
                "target": answered.target.name,
                "version": str(version.number),
                "reference": float(f"{reference:.6g}"),
                "breached": False,
                **_segment_fields(column, value),
                **found,
            }
        )
    return made


def _segment_fields(column: str, value: str) -> dict[str, str]:
    return {CENTRE: {"centre": value}, HOUR: {"hour": value}}.get(column, {"area": value, "column": column})


def _mark_degraded(look: MonitoringResult, version: str) -> None:
    """Set ``breached`` in the entries that the findings name."""
    for breach in (*look.findings.overall, *look.findings.segments):
        if breach.bias:
            where = {} if breach.segment is None else _segment_fields(breach.segment.column, breach.segment.value)
            numbers = {"value": round(breach.value, 4), "low": None, "high": None, "count": breach.count}
            named = {"target": breach.target, "metric": "bias", "version": version}
            look.quality.append(
                {**named, "reference": round(breach.reference, 4), "breached": True, **where, **numbers}
            )
            continue
        for entry in look.quality:
            if entry["target"] != breach.target:
                continue
            if breach.segment is None:
                same = not {"centre", "hour", "area"} & set(entry) and entry["metric"] in {"mae", "brier", "log_loss"}
            else:
                column = {CENTRE: "centre", HOUR: "hour"}.get(breach.segment.column, "area")
                same = entry.get(column) == breach.segment.value
                same &= column != "area" or entry.get("column") == breach.segment.column
            entry["breached"] |= same


def _add_derived_columns(use_case: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """Calls with the columns that follow from their fields, as their labels would have them in training."""
    if frame.empty:
        return frame
    derived = use_case.raw.build_label_examples(frame.reset_index(drop=True))
    names = [
        group.column for group in use_case.modelling.subgroups if group.column in derived and group.column not in frame
    ]
    return frame.assign(**{name: derived[name].to_numpy() for name in names})
