"""Simulated and replayed examples for drawing calls, read by the same code as training files."""

from __future__ import annotations

import base64
import math
import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import structlog

from services.core import use_case_registry
from services.core.contract.columns import column_types
from services.core.contract.use_case import BinaryClassification, MultiClass, Target, UseCase
from services.core.errors import VigieError

if TYPE_CHECKING:
    import pandas as pd


_NEAREST_EXAMPLES = 40
"""A call is drawn from this many examples of the same hour of the week, those with the nearest day."""


@dataclass(frozen=True, slots=True)
class Example:
    """A request with its known labels and time."""

    request: dict[str, Any]
    """The request's JSON; unknown fields are omitted."""
    labels: dict[str, Any]
    """Labels as reported in an outcome; empty if unknown."""
    at: float
    """Time of the call, Unix seconds; NaN without time."""


def build_examples(
    use_case: UseCase, tables: Mapping[str, pd.DataFrame], horizon: timedelta | None = None
) -> list[Example]:
    """Convert canonical tables to examples, in time order if there are times; with a ``horizon`` only those within it
    after the first."""
    rows = use_case.raw.build_examples(tables)
    if horizon is not None and "event_time" in rows:
        rows = rows[rows["event_time"] <= rows["event_time"].min() + horizon]
    fields = column_types(use_case.serving.request)
    targets = {target.label: target for target in reversed(use_case.modelling.targets)}
    at = rows["event_time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6 if "event_time" in rows else None
    names = list(dict.fromkeys([*fields, *targets]))
    found = []
    for number, row in enumerate(rows[names].astype(object).to_dict("records")):
        request = {name: _to_json_value(kind, row[name]) for name, kind in fields.items() if not _is_missing(row[name])}
        labels = {
            label: _to_json_label(target, row[label])
            for label, target in targets.items()
            if not _is_missing(row[label])
        }
        found.append(Example(request, labels, float("nan") if at is None else float(at[number])))
    return found if at is None else sorted(found, key=lambda example: example.at)


class ExamplePool:
    """Examples by hour of the week. None is drawn again before its neighbours have been drawn as often: the same
    accident six times in a month would be one observation that looks like six."""

    def __init__(self, use_case: UseCase, examples: Sequence[Example]) -> None:
        self.examples = examples
        self._drawn = [0] * len(examples)
        self._zone = ZoneInfo(use_case.data.timezone or "UTC")
        kind = column_types(use_case.serving.request).get(use_case.serving.time_field or "")
        self._field = use_case.serving.time_field if kind == "time" else None
        self._date = next((name for name, of in column_types(use_case.serving.request).items() if of == "date"), None)
        self._by_hour: dict[int, list[int]] = defaultdict(list)
        self._by_time = [number for number, example in enumerate(examples) if not math.isnan(example.at)]
        if self._field is not None:
            for number in self._by_time:
                self._by_hour[self._hour(datetime.fromtimestamp(examples[number].at, UTC))].append(number)

    def draw(self, chance: np.random.Generator, moment: datetime) -> Example:
        """Draw an example of the same hour of the week as ``moment`` and of a near day, moved to that moment."""
        number = self._number(chance, moment)
        self._drawn[number] += 1
        example = self.examples[number]
        request = dict(example.request)
        if self._field is not None:
            request[self._field] = moment.isoformat(timespec="milliseconds")
        elif self._date is not None and self._date in request:
            request[self._date] = moment.astimezone(self._zone).date().isoformat()
        return Example(request, example.labels, moment.timestamp())

    def _number(self, chance: np.random.Generator, moment: datetime) -> int:
        alike = self._by_hour.get(self._hour(moment)) or self._by_time
        if not alike:
            near = chance.integers(len(self.examples), size=_NEAREST_EXAMPLES).tolist()
        else:
            place = bisect_left(alike, moment.timestamp(), key=lambda number: self.examples[number].at)
            first = max(0, min(place - _NEAREST_EXAMPLES // 2, len(alike) - _NEAREST_EXAMPLES))
            near = alike[first : first + _NEAREST_EXAMPLES]
        least = min(self._drawn[number] for number in near)
        rare = [number for number in near if self._drawn[number] == least]
        return int(rare[int(chance.integers(len(rare)))])

    def _hour(self, moment: datetime) -> int:
        local = moment.astimezone(self._zone)
        return local.weekday() * 24 + local.hour


def _to_json_value(kind: str, value: Any) -> Any:
    if kind == "time":
        return value.isoformat()
    if kind == "date":
        return value.date().isoformat()
    if kind == "image":
        return base64.b64encode(value).decode()
    if kind == "flag":
        return bool(value)
    if kind == "number":
        number = float(value)
        return int(number) if number.is_integer() else number
    return str(value)


def _to_json_label(target: Target, value: Any) -> Any:
    if isinstance(target.output, MultiClass):
        return target.output.labels[int(value)] if target.output.labels else str(value)
    return bool(value) if isinstance(target.output, BinaryClassification) else float(value)


def _is_missing(value: Any) -> bool:
    # NaT is the only other value that differs from itself.
    return value is None or value in ("", b"") or value != value  # noqa: PLR0124


MIN_DAYS, MAX_DAYS = 14, 400
MAX_REPLAY = timedelta(days=36_500)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SimulatedDataset:
    """Parameters of a dataset that the use case's simulator generates."""

    use_case: str
    drift: tuple[str, ...]
    rows: int
    seed: int
    begin: datetime
    length: timedelta

    def write(self, folder: Path) -> None:
        """Generate the files.

        Raises:
            VigieError: the use case's simulator does not support the drift.
        """
        use_case = use_case_registry.get(self.use_case)
        first = (self.begin - timedelta(days=1)).astimezone(ZoneInfo(use_case.data.timezone or "UTC")).date()
        days = min(MAX_DAYS, max(MIN_DAYS, math.ceil(self.length / timedelta(days=1)) + 3))
        folder.mkdir(parents=True, exist_ok=True)
        most = use_case.simulator.MAX_ROWS_PER_DAY
        rows = self.rows if most is None else min(self.rows, most * days)
        use_case.simulator.write(
            folder, seed=self.seed, rows=rows, start=first.isoformat(), days=days, drift=self.drift
        )


def build_pools(worlds: Mapping[str, SimulatedDataset]) -> dict[str, ExamplePool]:
    """Generate one pool per dataset. Takes seconds: run it in a thread.

    Raises:
        VigieError: files cannot be written or read.
    """
    with tempfile.TemporaryDirectory(prefix="vigie-simulator-") as scratch:
        folders = {name: Path(scratch) / f"{number}" for number, name in enumerate(worlds)}
        for name, world in worlds.items():
            world.write(folders[name])
        read = _read_examples([(worlds[name].use_case, folder, None) for name, folder in folders.items()])
    return {
        name: ExamplePool(use_case_registry.get(world.use_case), examples)
        for (name, world), examples in zip(worlds.items(), read, strict=True)
    }


def load_replay(use_case: str, folder: Path, horizon: timedelta) -> list[Example]:
    """Load the calls in a folder of official files, in time order, up to ``horizon`` after the first.

    Raises:
        VigieError: the files cannot be read or contain no calls.
    """
    (found,) = _read_examples([(use_case, folder.resolve(), min(horizon, MAX_REPLAY))])
    if not found:
        raise VigieError(f"{folder} holds no call of {use_case}.", expected="official files with rows in them")
    return found


def _read_examples(wanted: Sequence[tuple[str, Path, timedelta | None]]) -> list[list[Example]]:
    """Read the examples of each folder in a separate process, which returns its memory when it ends."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_examples_of_folders, wanted).result()


def _examples_of_folders(wanted: Sequence[tuple[str, Path, timedelta | None]]) -> list[list[Example]]:
    from services.core.raw_files.reader import read_folder  # noqa: PLC0415 - pandas, in the reading process only

    return [
        build_examples(use_case_registry.get(use_case), read_folder(use_case, folder), horizon)
        for use_case, folder, horizon in wanted
    ]
