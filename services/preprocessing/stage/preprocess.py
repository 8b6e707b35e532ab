"""The preprocess stage: builds examples, checks them against the request model and writes ``data/<use
case>/examples``.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structlog
from pydantic import BaseModel, ValidationError

from services.core import use_case_registry
from services.core.contract.columns import ColumnType, allowed_values, column_types
from services.core.contract.use_case import Arrays, BinaryClassification, MultiClass, UseCase, learned_class_targets
from services.core.errors import VigieError
from services.core.io import atomic_write, file_sha256, replacing_folder
from services.core.params import Preprocess
from services.preprocessing.stage.label_rows import ORIGIN, append_labels, drop_outdated_rows
from services.preprocessing.stage.profile import PROFILE_FILE, build_profile

_SAMPLE_SEED = 20_240_101


def check_schema(use_case: UseCase, examples: pd.DataFrame, sample_rows: int) -> None:
    """Check the examples against the request model.

    Raises:
        VigieError: a request field or label is missing as a column or has another type, or a sampled row would be
            refused as a request; names the field.
    """
    if examples.empty:
        raise VigieError(
            f"The raw tables of {use_case.name} make no example.", action="See data/quarantine, or give it more files."
        )
    needed = [
        *column_types(use_case.serving.request),
        *(t.label for t in use_case.modelling.targets),
        use_case.data.group_column,
    ]
    needed += [target.weight for target in use_case.modelling.targets if target.weight]
    needed += [subgroup.column for subgroup in use_case.modelling.subgroups]
    needed += [part.column for part in use_case.modelling.evaluation_slices]
    needed += ["event_time"] if use_case.modelling.split.kind == "time" else []
    absent = [name for name in dict.fromkeys(needed) if name not in examples]
    if absent:
        raise _mismatch(use_case, f"have no column {', '.join(absent)}")
    for name, kind in column_types(use_case.serving.request).items():
        _check_column_type(use_case, name, kind, examples[name])
    named = learned_class_targets(use_case)
    for target in use_case.modelling.targets:
        if target.name in named:
            _check_class_names(use_case, target.label, examples[target.label])
            continue
        _check_label(use_case, target.label, target.output, examples[target.label])
    _check_rows(use_case, examples.sample(min(sample_rows, len(examples)), random_state=_SAMPLE_SEED))


def to_request_rows(model: type[BaseModel], examples: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as requests: missing values are omitted."""
    names = list(column_types(model))
    dates = {name for name, kind in column_types(model).items() if kind == "date"}
    records = examples[names].astype(object).to_dict("records")
    return [{str(k): _as_sent(v, k in dates) for k, v in record.items() if not _missing(v)} for record in records]


def _as_sent(value: Any, date: bool) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.date() if date else value


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value == "" or (isinstance(value, float) and math.isnan(value))


def _check_column_type(use_case: UseCase, name: str, kind: ColumnType, column: pd.Series) -> None:
    if kind in {"time", "date"}:
        if not isinstance(column.dtype, pd.DatetimeTZDtype):
            raise _mismatch(use_case, f"have {name} as {column.dtype}, not as times with a zone")
    elif kind == "image":
        strange = [value for value in column.dropna() if not isinstance(value, bytes)]
        if strange:
            raise _mismatch(use_case, f"have {name} as {type(strange[0]).__name__}, not as the bytes of a file")
    elif kind in {"category", "text"}:
        strange = [value for value in column.dropna().unique() if not isinstance(value, str)]
        if strange:
            raise _mismatch(use_case, f"have {name} as {type(strange[0]).__name__}, not as text")
        words = allowed_values(use_case.serving.request, name)
        unknown = sorted(set(column.dropna().unique()) - set(words) - {""}) if words else []
        if unknown:
            raise _mismatch(use_case, f"hold {unknown[0]!r} in {name}, which the request does not allow")
    elif not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        raise _mismatch(use_case, f"have {name} as {column.dtype}, not as numbers")


def _check_label(use_case: UseCase, name: str, output: object, column: pd.Series) -> None:
    if not pd.api.types.is_numeric_dtype(column):
        raise _mismatch(use_case, f"have the label {name} as {column.dtype}, not as numbers")
    known = column.dropna()
    count = (
        len(output.labels)
        if isinstance(output, MultiClass)
        else 2
        if isinstance(output, BinaryClassification)
        else None
    )
    if known.empty:
        raise _unusable_label(use_case, name, f"missing in all {len(column):,} rows")
    if count is not None and not known.isin(range(count)).all():
        raise _mismatch(use_case, f"hold a label {name} that is none of 0 to {count - 1}")


def _check_class_names(use_case: UseCase, name: str, column: pd.Series) -> None:
    """Check a learned classification's labels: strings, at least two classes."""
    known = column.dropna()
    if not all(isinstance(value, str) and value for value in known):
        raise _mismatch(use_case, f"have the label {name} as something else than names")
    if known.nunique() < 2:
        what = f"{known.iloc[0]!r} in all {len(known):,} rows" if len(known) else f"missing in all {len(column):,} rows"
        raise _unusable_label(use_case, name, what)


def _check_rows(use_case: UseCase, sample: pd.DataFrame) -> None:
    for row in to_request_rows(use_case.serving.request, sample):
        try:
            use_case.serving.request.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the request"
            raise _mismatch(use_case, f"hold a row that no caller could send: {field}: {first['msg']}") from error


def _unusable_label(use_case: UseCase, name: str, what: str) -> VigieError:
    return VigieError(
        f"{use_case.name}: {name} is {what}, so there is nothing to learn.",
        expected="at least two values",
        action=f"Look at the files of {use_case.name}: a column may be empty, cut off or filled with one value.",
    )


def _mismatch(use_case: UseCase, what: str) -> VigieError:
    return VigieError(
        f"The examples of {use_case.name} {what}.",
        expected=f"columns and values as in {use_case.serving.request.__name__} and the declared targets",
        action=f"Correct examples() in raw.py or the request model of {use_case.name}.",
    )


MANIFEST = "manifest.json"


def preprocess(use_case: str, root: Path, parameters: Preprocess) -> None:
    """Build the examples and write them.

    Raises:
        VigieError: the raw tables are missing, or the examples do not match the request model.
    """
    declared = use_case_registry.get(use_case)
    data = root / "data" / use_case
    tables, simulated = read_raw(declared, data / "raw")
    official = declared.raw.build_examples(tables)
    examples = append_labels(declared, official, data / "outcomes", simulated=simulated)
    examples = drop_outdated_rows(examples, data / "outcomes")
    check_schema(declared, examples, parameters.sample_rows)
    with replacing_folder(data / "examples") as folder:
        examples.to_parquet(folder / "examples.parquet", index=False, compression="zstd")
        write_arrays(folder / "reference.npz", declared.raw.lookup_tables(tables))
        write_arrays(folder / "context.npz", declared.raw.training_context(tables))
        manifest = _manifest(declared, examples, folder, simulated=simulated)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    # next to the examples, not among them: it is not training data
    profile = json.dumps(build_profile(declared, examples), ensure_ascii=False, allow_nan=False)
    atomic_write(data / PROFILE_FILE, profile + "\n")
    structlog.get_logger().info("examples made", use_case=use_case, rows=len(examples), simulated=simulated)


def read_raw(use_case: UseCase, folder: Path) -> tuple[dict[str, pd.DataFrame], bool]:
    """Load the canonical tables that ingestion wrote, and whether they are simulated.

    Raises:
        VigieError: they are missing.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        tables = {
            table.name: pd.read_parquet(folder / f"{table.name}.parquet")
            for table in use_case.data.tables
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
    """Write named arrays as ``.npz`` without pickle and without timestamps, so that equal arrays give equal
    bytes.

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
        "labelled": {target.name: int(examples[target.label].notna().sum()) for target in use_case.modelling.targets},
        "sha256": {
            path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.suffix in {".parquet", ".npz"}
        },
    }
