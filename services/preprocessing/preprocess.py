"""The preprocess stage: ``raw/`` and ``outcomes/`` -> ``examples/`` below ``data/<use case>``.

``examples.parquet``   one row per example, see ``RawModule.examples`` and ``outcome_rows``
``reference.npz``      tables that fitting needs besides
``context.npz``        the context of the training period
``profile.json``       a picture of the examples for people, see ``profile``
``manifest.json``      rows, span of time, hashes, and whether the data was simulated

Nothing in there depends on how the rows arrived, so training is repeated only for other rows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog

from services.core.bundle.manifest import sha256
from services.core.errors import VigieError
from services.core.io import replacing_folder
from services.core.params import Preprocess
from services.core.usecases import registry
from services.core.usecases.contract import Arrays, UseCase
from services.preprocessing.agreement import check_examples
from services.preprocessing.changed_world import without_the_past
from services.preprocessing.outcome_rows import ORIGIN, with_outcomes
from services.preprocessing.profile import NAME, profile

MANIFEST = "manifest.json"


def preprocess(use_case: str, root: Path, parameters: Preprocess) -> None:
    """Make examples and store them.

    Raises:
        VigieError: the raw tables are not there, or the examples do not obey the request model.
    """
    declared = registry.get(use_case)
    data = root / "data" / use_case
    tables, simulated = read_raw(declared, data / "raw")
    official = declared.raw.examples(tables)
    examples = with_outcomes(declared, official, data / "outcomes", simulated=simulated)
    examples = without_the_past(examples, data / "outcomes")
    check_examples(declared, examples, parameters.sample_rows)
    with replacing_folder(data / "examples") as folder:
        examples.to_parquet(folder / "examples.parquet", index=False, compression="zstd")
        write_arrays(folder / "reference.npz", declared.raw.reference(tables))
        write_arrays(folder / "context.npz", declared.raw.context(tables))
        picture = json.dumps(profile(declared, examples), ensure_ascii=False, allow_nan=False)
        (folder / NAME).write_text(picture + "\n", encoding="utf-8")
        manifest = _manifest(declared, examples, folder, simulated=simulated)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    structlog.get_logger().info("examples made", use_case=use_case, rows=len(examples), simulated=simulated)


def read_raw(use_case: UseCase, folder: Path) -> tuple[dict[str, pd.DataFrame], bool]:
    """The canonical tables that ingestion stored, and whether they were simulated.

    Raises:
        VigieError: they are not there.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        tables = {
            table.name: pd.read_parquet(folder / f"{table.name}.parquet")
            for table in use_case.tables
            if table.name in manifest["tables"]
        }
        return tables, bool(manifest["simulated"])
    except (OSError, ValueError, KeyError) as error:
        raise VigieError(
            f"The raw tables of {use_case.name} cannot be read: {error}",
            expected="what the ingest stage writes below data/<use case>/raw",
            action=f"Run the ingest stage: ./vigie ingest {use_case.name}",
        ) from error


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Store named arrays without pickle and without the time of writing (``numpy.savez`` notes none),
    so the same arrays give the same bytes.

    Raises:
        VigieError: an array holds Python objects.
    """
    plain: dict[str, Any] = {name: np.asarray(array) for name, array in sorted(arrays.items())}
    objects = [name for name, array in plain.items() if array.dtype.hasobject]
    if objects:
        raise VigieError(
            f"{path.name}: the arrays {', '.join(objects)} hold Python objects.",
            expected="numbers, booleans or unicode strings (dtype str)",
        )
    np.savez(path, **plain)


def _manifest(use_case: UseCase, examples: pd.DataFrame, folder: Path, *, simulated: bool) -> dict[str, Any]:
    span: dict[str, str] = {}
    if "event_time" in examples and len(examples):
        times = examples["event_time"]
        span = {"first": times.min().isoformat(), "last": times.max().isoformat()}
    return {
        "use_case": use_case.name,
        "simulated": simulated,
        "rows": len(examples),
        "origins": {str(name): int(count) for name, count in examples[ORIGIN].value_counts().sort_index().items()},
        "span": span,
        "labelled": {target.name: int(examples[target.label].notna().sum()) for target in use_case.targets},
        "sha256": {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.suffix in {".parquet", ".npz"}},
    }
