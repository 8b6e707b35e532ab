"""A file is read as its official twin, or refused, or what was lost is reported: never silently different.

50 seeded mutations in every run; ``VIGIE_MUTATIONS`` is another number (2,000 in ``./vigie test --nightly mutations``).
"""

from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.raw_files.ingest_report import IngestResult
from services.core.raw_files.reader import read_files
from tests.mutations.bases import LAYOUTS, Files, base
from tests.mutations.kinds import KINDS

NUMBER = int(os.environ.get("VIGIE_MUTATIONS", "50"))
BATCHES = 10
"""Tests in which the mutations run, so that processes share them."""


class Reading(NamedTuple):
    """What became of files: examples and what is said of losses, or the refusal."""

    examples: pd.DataFrame | None
    said: frozenset[str]


def read(layout: str, files: Files, folder: Path) -> Reading:
    folder.mkdir()
    for name, sheet in files.items():
        (folder / name).write_bytes(sheet.content())
    use_case = use_case_registry.get(LAYOUTS[layout][0])
    try:
        result = read_files(use_case, [("drop", folder)])
        return Reading(use_case.raw.build_examples(result.tables), losses(result))
    except VigieError as error:
        return Reading(None, frozenset({error.problem}))


def losses(result: IngestResult) -> frozenset[str]:
    """Everything that is said of an ingestion but how columns were understood."""
    said = {f"{name}: {why}" for name, why in result.ignored.items()}
    said |= {f"{report.file}: {report.quarantined} in quarantine" for report in result.reports if report.quarantined}
    for report in result.reports:
        said |= {f"{report.file}: {f.sentence()}" for f in report.findings if f.kind != "convention"}
    return frozenset(said | {join.text for join in result.joins} | {doubt.text for doubt in result.doubts})


def comparable(examples: pd.DataFrame) -> list[tuple[str, ...]]:
    """Rows as text, in an order of their own."""
    table = examples[sorted(examples.columns)].copy()
    for name in table.select_dtypes("float"):
        table[name] = table[name].round(6)
    return sorted(map(tuple, table.astype(object).where(table.notna(), "").astype(str).to_numpy().tolist()))


@cache
def twin(layout: str, folder: Path) -> tuple[list[tuple[str, ...]], frozenset[str]]:
    found = read(layout, base(layout), folder / layout.replace(" ", "-"))
    assert found.examples is not None, found.said
    return comparable(found.examples), found.said


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("twins")


def mutated(seed: int) -> tuple[str, Files, list[str]]:
    """The files of one layout after one to three kinds of change."""
    chosen = random.Random(seed)
    layout = sorted(LAYOUTS)[seed % len(LAYOUTS)]
    files = base(layout)
    kinds = chosen.sample(sorted(KINDS), chosen.choice([1, 1, 1, 2, 3]))
    for kind in kinds:
        KINDS[kind](chosen, files)
    return layout, files, kinds


def problem(seed: int, twins: Path, folder: Path) -> str:
    """Why a mutation was read wrongly without a word; blank if it was not."""
    layout, files, kinds = mutated(seed)
    expected, known = twin(layout, twins)
    try:
        found = read(layout, files, folder / str(seed))
    except Exception as error:  # noqa: BLE001 - any traceback is a finding
        return f"seed {seed}: {layout}: {', '.join(kinds)}: {error!r}"
    if found.examples is None or comparable(found.examples) == expected:
        return ""
    return "" if found.said - known else f"seed {seed}: {layout}: {', '.join(kinds)}: different without a word"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_mutation_is_read_wrongly_without_a_word(batch: int, twins: Path, tmp_path: Path) -> None:
    wrong = [text for seed in range(batch, NUMBER, BATCHES) if (text := problem(seed, twins, tmp_path))]
    assert wrong == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_a_twin_without_a_refused_row(layout: str, twins: Path) -> None:
    rows, said = twin(layout, twins)
    assert len(rows) >= 20
    assert not any("quarantine" in line for line in said)
