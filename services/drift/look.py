"""One look at a use case's calls: what drifted, what the error is, what is not believed. Nothing is changed here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from services.core.bundle.predictor import Predictor
from services.core.params import Monitoring
from services.core.registry.version import Version
from services.core.scoring.answers import take
from services.core.scoring.metrics import metrics_of
from services.core.usecases.columns import kinds
from services.core.usecases.contract import ProbabilityValue, Quantity, UseCase, Value
from services.drift import breaches, quality
from services.drift.agreement import Doubt, Reports, doubts
from services.drift.breaches import Findings, Judged
from services.drift.calls import watched_of
from services.drift.inputs import Column, ColumnDrift, Kind, columns_of, compare, drifted_share, values_of
from services.drift.losses import loss_name, losses, one_number
from services.drift.models import Models
from services.drift.quality import Answered
from services.drift.segments import CENTRE, HOUR, completed, segment_columns
from services.drift.wording import OUTPUT, WATCHED

MOST_GROUPS = 60
_DAY = 86_400
_SEED = 5
_NOTABLY = 0.05


@dataclass
class Look:
    """``findings`` and ``quality`` speak of the champion's own answers; too few of those leave them empty."""

    columns: list[ColumnDrift] = field(default_factory=list)
    share: float = 0.0
    season_known: bool = True
    findings: Findings = field(default_factory=Findings)
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Column -> the group of each call of the window."""
    judged: int = 0
    """Calls answered by the champion whose outcome is known."""
    quality: list[dict[str, Any]] = field(default_factory=list)
    estimates: list[dict[str, Any]] = field(default_factory=list)
    shadow: dict[str, Any] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
    samples: tuple[pd.DataFrame, pd.DataFrame] | None = None
    """Reference and current columns, for the report."""


@dataclass(frozen=True)
class Frozen:
    """The champion on its frozen test rows."""

    frame: pd.DataFrame
    values: Mapping[str, Value]
    facts: Mapping[str, Any]
    sample: pd.DataFrame
    """The bundle's reference sample, whose words the model knows."""
    scale: Mapping[str, float]
    """Target -> what losses are multiplied by: not 1 where the bundle has learned from these rows (cross-validation),
    which makes its own answers to them look too good."""


def frozen_of(models: Models, version: Version, predictor: Predictor, window: pd.DataFrame) -> Frozen:
    """The frozen rows as callers would have sent them: what they leave out is left out there as often, or a model
    would be blamed for what it is not told."""
    frame, report = models.frozen(version)
    scale = {}
    for target in models.use_case.targets:
        if (target.split or models.use_case.split).kind == "cross":
            own = losses(
                frame[target.label].to_numpy(dtype=np.float64), models.predict(predictor, frame).values[target.name]
            )
            honest = report["every_metric"].get(target.name, {}).get(loss_name(target))
            scale[target.name] = float(honest / np.nanmean(own)) if honest and np.nanmean(own) > 0 else 1.0
    frame = _told_as_little(models.use_case, frame, window)
    prediction = models.predict(predictor, frame)
    return Frozen(frame, prediction.values, prediction.facts, models.reference(predictor), scale)


def doubtful(use_case: UseCase, window: pd.DataFrame, values: Mapping[str, Value], frozen: Frozen) -> list[Doubt]:
    """Centres whose outcomes do not go with the answers. ``values`` are the champion's for the window."""
    made = []
    for target in use_case.targets:
        label = window[target.label].to_numpy(dtype=np.float64)
        rows = np.flatnonzero(~np.isnan(label))
        rows = rows[np.argsort(window["call_reported_at"].to_numpy(dtype="datetime64[us]")[rows], kind="stable")]
        before = frozen.frame[target.label].to_numpy(dtype=np.float64)
        known = np.flatnonzero(~np.isnan(before))
        if not len(rows) or not len(known):
            continue
        output = target.output
        if hasattr(output, "labels"):
            continue  # the order of classes means nothing
        received = window["call_reported_at"].to_numpy(dtype="datetime64[us]").astype(np.int64)[rows] / 1e6
        made.append(
            Reports(
                target=target.name,
                unit=output.unit if isinstance(output, Quantity) else "",
                centre=window["call_centre"].to_numpy(dtype=object)[rows],
                received=received,
                answer=one_number(values[target.name])[rows],
                label=label[rows],
                frozen_answer=one_number(frozen.values[target.name])[known],
                frozen_label=before[known],
                quantity=isinstance(output, Quantity),
            )
        )
    return doubts(made)


def drift_of(
    use_case: UseCase,
    models: Models,
    predictor: Predictor,
    window: pd.DataFrame,
    *,
    values: Mapping[str, Value],
    params: Monitoring,
) -> Look:
    """Inputs, answers and watched columns of the window against the bundle's reference sample."""
    reference = models.reference(predictor)
    importance = _importance(predictor)
    columns = columns_of(kinds(use_case.request), reference, window, importance)
    for target in use_case.targets:
        name = f"{OUTPUT}{target.name}"
        if name in reference:
            shape: Kind = "words" if hasattr(target.output, "labels") else "number"
            said = pd.Series(one_number(values[target.name]))
            columns.append(Column(name, shape, values_of(reference[name], shape), values_of(said, shape)))
    for name, kept in watched_of(window).items():
        if f"{WATCHED}{name}" in reference:
            theirs = reference[f"{WATCHED}{name}"]
            shape = "number" if pd.api.types.is_numeric_dtype(theirs) else "words"
            columns.append(
                Column(f"{WATCHED}{name}", shape, values_of(theirs, shape), values_of(pd.Series(kept), shape))
            )
    times = reference[use_case.time_field] if use_case.time_field is not None else None
    found, season = compare(columns, times, window["event_time"], params, use_case.zone or "UTC")
    samples = (
        pd.DataFrame({column.name: column.reference for column in columns}),
        pd.DataFrame({column.name: column.current for column in columns}),
    )
    inputs = [column for column in found if not column.name.startswith(OUTPUT)]
    return Look(columns=found, share=drifted_share(inputs), season_known=season, samples=samples)


def error_of(
    look: Look,
    use_case: UseCase,
    window: pd.DataFrame,
    prediction: Any,
    *,
    frozen: Frozen,
    version: Version,
    params: Monitoring,
) -> None:
    """The champion's live error, overall and by group, into ``look``."""
    own = window["call_version"].to_numpy(dtype=object) == str(version.number)
    complete = completed(use_case, window)
    groups = segment_columns(use_case, complete, prediction.facts, frozen.sample)
    reference_groups = segment_columns(use_case, frozen.frame, frozen.facts, frozen.sample)
    look.groups = groups
    day = _days(window)
    seconds = window["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    judged = []
    for target in use_case.targets:
        label = window[target.label].to_numpy(dtype=np.float64)
        known = np.flatnonzero(own & ~np.isnan(label))
        before = frozen.frame[target.label].to_numpy(dtype=np.float64)
        there = np.flatnonzero(~np.isnan(before))
        if not len(there):
            continue
        frozen_value = take(frozen.values[target.name], there)
        reference_loss = losses(before[there], frozen_value)
        scale = frozen.scale.get(target.name, 1.0)
        said = take(prediction.values[target.name], known)
        answered = Answered(target, label[known], said, day[known])
        open_calls = np.flatnonzero(own & np.isnan(label))
        look.estimates.append(
            quality.estimate(
                target, take(prediction.values[target.name], open_calls), frozen_value, before[there],
                answered if len(known) else None,
            )
        )  # fmt: skip
        look.judged = max(look.judged, len(known))
        if len(known) < params.segment_rows:
            continue
        item = Judged(
            target.name,
            losses(label[known], said),
            day[known],
            seconds[known],
            {name: words[known] for name, words in groups.items()},
            reference_loss,
            {name: words[there] for name, words in reference_groups.items()},
            scale,
        )
        judged.append(item)
        if isinstance(said, ProbabilityValue) and isinstance(frozen_value, ProbabilityValue):
            answered_chance = np.asarray(said.probability)
            live, usual = label[known] - answered_chance, before[there] - np.asarray(frozen_value.probability)
            for sign in (1.0, -1.0):
                signed = replace(item, loss=sign * live, reference_loss=sign * usual, scale=1.0)
                judged.append(replace(signed, answer=answered_chance, under=sign > 0, bias=True))
        look.quality += _overall(
            answered, version, frozen, frozen_label=before[there], frozen_value=frozen_value, params=params
        )
        look.quality += _grouped(
            answered,
            version,
            {name: words[known] for name, words in groups.items()},
            reference_loss=reference_loss * scale,
            reference_groups={name: words[there] for name, words in reference_groups.items()},
            params=params,
        )
    look.findings = breaches.find(judged, params)
    _mark(look, str(version.number))


def other_versions(
    look: Look, use_case: UseCase, window: pd.DataFrame, models: Models, *, champion: Version, params: Monitoring
) -> None:
    """The error of the versions that answered the window's other calls, into ``look``."""
    version = window["call_version"].to_numpy(dtype=object)
    day = _days(window)
    for number in sorted({word for word in version.tolist() if word.isdigit() and int(word) != champion.number}):
        rows = np.flatnonzero(version == number)
        if len(rows) < params.segment_rows:
            continue
        predictor = models.predictor(models.registry.version(use_case.name, int(number)))
        if predictor is None:
            continue
        said = models.predict(predictor, window.iloc[rows])
        for target in use_case.targets:
            label = window[target.label].to_numpy(dtype=np.float64)[rows]
            known = np.flatnonzero(~np.isnan(label))
            if len(known) < params.segment_rows:
                continue
            answered = Answered(target, label[known], take(said.values[target.name], known), day[rows][known])
            found = quality.deciding(answered, params.seed)
            if found is not None:
                look.quality.append(
                    {"target": target.name, "version": number, "reference": None, "breached": False, **found}
                )


def duel_of(
    use_case: UseCase, models: Models, calls: pd.DataFrame, *, new: Version, old: Version, params: Monitoring
) -> list[dict[str, Any]]:
    """Two versions on the same calls, each target by its loss. Both are asked here, off the request path."""
    ours, theirs = models.predictor(new), models.predictor(old)
    if ours is None or theirs is None or calls.empty:
        return []
    one, other = models.predict(ours, calls), models.predict(theirs, calls)
    day, made = _days(calls), []
    for target in use_case.targets:
        label = calls[target.label].to_numpy(dtype=np.float64)
        known = np.flatnonzero(~np.isnan(label))
        if len(known) < params.segment_rows:
            continue
        sides = [
            Answered(target, label[known], take(prediction.values[target.name], known), day[known])
            for prediction in (one, other)
        ]
        made.append(quality.duel(sides[0], sides[1], params.seed))
    return made


def _overall(
    answered: Answered,
    version: Version,
    frozen: Frozen,
    *,
    frozen_label: NDArray[np.float64],
    frozen_value: Value,
    params: Monitoring,
) -> list[dict[str, Any]]:
    known, factor = metrics_of(answered.target), frozen.scale.get(answered.target.name, 1.0)
    made = []
    for entry in quality.reported(answered, params.seed):
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


def _grouped(
    answered: Answered,
    version: Version,
    groups: Mapping[str, NDArray[Any]],
    *,
    reference_loss: NDArray[np.float64],
    reference_groups: Mapping[str, NDArray[Any]],
    params: Monitoring,
) -> list[dict[str, Any]]:
    """The loss of each centre, hour and area with enough calls, the largest first."""
    sized = []
    for column, words in groups.items():
        values, counts = np.unique(words.astype(str), return_counts=True)
        sized += [
            (int(count), column, str(value))
            for value, count in zip(values, counts, strict=True)
            if count >= params.segment_rows and value
        ]
    made = []
    for _, column, value in sorted(sized, reverse=True)[:MOST_GROUPS]:
        found = quality.deciding(answered.at(np.flatnonzero(groups[column] == value)), params.seed)
        if found is None:
            continue
        frozen = reference_groups.get(column)
        own = reference_loss[frozen == value] if frozen is not None else np.empty(0)
        overall = float(reference_loss.mean())
        reference = (own.sum() + breaches.SHRINK * overall) / (len(own) + breaches.SHRINK)
        made.append(
            {
                "target": answered.target.name,
                "version": str(version.number),
                "reference": float(f"{reference:.6g}"),
                "breached": False,
                **_where(column, value),
                **found,
            }
        )
    return made


def _where(column: str, value: str) -> dict[str, str]:
    return {CENTRE: {"centre": value}, HOUR: {"hour": value}}.get(column, {"area": value, "column": column})


def _mark(look: Look, version: str) -> None:
    """``breached`` at the entries that the findings name."""
    for breach in (*look.findings.overall, *look.findings.segments):
        if breach.bias:
            where = {} if breach.segment is None else _where(breach.segment.column, breach.segment.value)
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


def _told_as_little(use_case: UseCase, frame: pd.DataFrame, window: pd.DataFrame) -> pd.DataFrame:
    made = frame.copy()
    generator = np.random.default_rng(_SEED)
    for name, kind in kinds(use_case.request).items():
        if use_case.request.model_fields[name].is_required() or kind in {"time", "date", "image"}:
            continue
        known, live = _share_known(made[name], kind), _share_known(window[name], kind)
        if known > 0 and live < known - _NOTABLY:
            blank = generator.random(len(made)) >= live / known
            made.loc[blank, name] = "" if kind in {"category", "text"} else np.nan
    return made


def _share_known(series: pd.Series, kind: str) -> float:
    present = series.notna() & (series.astype(str) != "") if kind in {"category", "text"} else series.notna()
    return float(present.mean())


def _importance(predictor: Predictor) -> dict[str, float]:
    """Field -> its share of the first target's gain."""
    path = predictor.folder / "importance.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {str(name): float(share) for name, share in content.get(predictor.use_case.targets[0].name, {}).items()}


def _days(frame: pd.DataFrame) -> NDArray[np.int64]:
    seconds = frame["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    return np.floor(seconds / _DAY).astype(np.int64)
