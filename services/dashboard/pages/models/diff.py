"""Differences between two versions: metrics, data, parameters, software."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from services.core.contract.use_case import UseCase
from services.dashboard.components.data_display import table
from services.dashboard.components.use_cases import improvement, metric_title, metric_value, target_title
from services.dashboard.session import Session

_SLICE = re.compile(r"(?P<target>.+)\.(?P<slice>train|calibrate|test)\.(?P<what>rows|from|to)")


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric of two versions."""

    target: str
    metric: str
    old: float | None
    new: float | None

    @property
    def gain(self) -> float | None:
        """Improvement; None if one version lacks the metric."""
        return None if self.old is None or self.new is None else improvement(self.metric, self.new, self.old)


def metric_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[MetricChange]:
    """All metrics of either version, in the newer one's order."""
    found: list[MetricChange] = []
    for target in dict.fromkeys([*new["metrics"], *old["metrics"]]):
        before, after = old["metrics"].get(target, {}), new["metrics"].get(target, {})
        names = dict.fromkeys([*after, *before])
        found += [MetricChange(target, metric, before.get(metric), after.get(metric)) for metric in names]
    return found


def changed_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, old and new text of all differing values."""
    names = sorted(set(old) | set(new))
    pairs = [(name, str(old.get(name, "–")), str(new.get(name, "–"))) for name in names]
    return [pair for pair in pairs if pair[1] != pair[2]]


def show_diff(session: Session, use_case: UseCase, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    words = session.words
    numbers = [old["version"]["number"], new["version"]["number"]]
    columns = [words("models.version_n", number=number) for number in numbers]
    st.subheader(words("models.changed_metrics"))
    rows = [
        [
            target_title(session, use_case, change.target),
            metric_title(session, change.metric),
            metric_value(session, use_case, change.target, change.metric, change.old),
            metric_value(session, use_case, change.target, change.metric, change.new),
            _change_text(session, use_case, change),
        ]
        for change in metric_changes(old, new)
    ]
    heads = [words("models.target"), words("models.metric"), *columns, words("models.change")]
    table(words("models.changed_metrics"), heads, rows, numbers=(2, 3))
    for part in ("data", "parameters", "versions"):
        st.subheader(words(f"models.changed_{part}"))
        sides = (old[part], new[part])
        if part == "data":
            sides = (data_lines(session, use_case, old[part]), data_lines(session, use_case, new[part]))
        changed = changed_values(*sides)
        if changed:
            table(words(f"models.changed_{part}"), [words("models.what"), *columns], [list(line) for line in changed])
        else:
            st.write(words("models.unchanged"))


def _change_text(session: Session, use_case: UseCase, change: MetricChange) -> str:
    by = change.gain
    if by is None:
        return "–"
    if abs(by) < 1e-9:
        return session.words("models.same")
    shown = metric_value(session, use_case, change.target, change.metric, abs(by))
    return session.words("models.better_by" if by > 0 else "models.worse_by", by=shown)


def data_lines(session: Session, use_case: UseCase, data: Mapping[str, Any]) -> dict[str, str]:
    """Rows and time span of each data slice in one line; other manifest entries are shown by name, hashes by their
    first digits."""
    words, formats = session.words, session.formats
    slices: dict[tuple[str, str], dict[str, Any]] = {}
    lines = {}
    for name, value in data.items():
        found = _SLICE.fullmatch(name)
        if found is None:
            lines[name] = str(value)[:24]
        else:
            slices.setdefault((found["target"], found["slice"]), {})[found["what"]] = value
    for (target, piece), about in slices.items():
        named = words(
            "models.slice", target=target_title(session, use_case, target), slice=words(f"models.slice_{piece}")
        )
        rows = formats.number(float(about.get("rows") or 0))
        if about.get("from") and about.get("to"):
            first, last = formats.moment(str(about["from"])), formats.moment(str(about["to"]))
            lines[named] = words("models.slice_span", rows=rows, first=first, last=last)
        else:
            lines[named] = words("models.slice_rows", rows=rows)
    return lines
