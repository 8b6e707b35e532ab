"""Whether examples and requests are one contract: what the models learn from has to be what a caller
can send, or training and serving drift apart in silence."""

from __future__ import annotations

import base64
import math
from typing import Any

import pandas as pd
from pydantic import BaseModel, ValidationError

from services.core.errors import VigieError
from services.core.usecases.classes import learns_classes
from services.core.usecases.columns import Kind, allowed, kinds
from services.core.usecases.contract import Classes, Probability, UseCase

_SEED = 20_240_101


def check_examples(use_case: UseCase, examples: pd.DataFrame, sample_rows: int) -> None:
    """
    Raises:
        VigieError: a request field or label is no column, has another kind, or a sampled row would be
            refused as a request; the field is named.
    """
    if examples.empty:
        raise VigieError(
            f"The raw tables of {use_case.name} make no example.", action="See data/quarantine, or give it more files."
        )
    needed = [*kinds(use_case.request), *(t.label for t in use_case.targets), use_case.group]
    needed += [target.weight for target in use_case.targets if target.weight]
    needed += [subgroup.column for subgroup in use_case.subgroups]
    needed += [part.column for part in use_case.parts]
    needed += ["event_time"] if use_case.split.kind == "time" else []
    absent = [name for name in dict.fromkeys(needed) if name not in examples]
    if absent:
        raise _mismatch(use_case, f"have no column {', '.join(absent)}")
    for name, kind in kinds(use_case.request).items():
        _check_kind(use_case, name, kind, examples[name])
    named = learns_classes(use_case)
    for target in use_case.targets:
        if target.name in named:
            _check_names(use_case, target.label, examples[target.label])
            continue
        _check_label(use_case, target.label, target.output, examples[target.label])
    _check_rows(use_case, examples.sample(min(sample_rows, len(examples)), random_state=_SEED))


def request_rows(model: type[BaseModel], examples: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a caller would send them: missing values are left out."""
    names = list(kinds(model))
    dates = {name for name, kind in kinds(model).items() if kind == "date"}
    records = examples[names].astype(object).to_dict("records")
    return [{str(k): _sent(v, k in dates) for k, v in record.items() if not _missing(v)} for record in records]


def _sent(value: Any, date: bool) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.date() if date else value


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value == "" or (isinstance(value, float) and math.isnan(value))


def _check_kind(use_case: UseCase, name: str, kind: Kind, column: pd.Series) -> None:
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
        words = allowed(use_case.request, name)
        unknown = sorted(set(column.dropna().unique()) - set(words) - {""}) if words else []
        if unknown:
            raise _mismatch(use_case, f"hold {unknown[0]!r} in {name}, which the request does not allow")
    elif not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        raise _mismatch(use_case, f"have {name} as {column.dtype}, not as numbers")


def _check_label(use_case: UseCase, name: str, output: object, column: pd.Series) -> None:
    if not pd.api.types.is_numeric_dtype(column):
        raise _mismatch(use_case, f"have the label {name} as {column.dtype}, not as numbers")
    known = column.dropna()
    count = len(output.labels) if isinstance(output, Classes) else 2 if isinstance(output, Probability) else None
    if known.empty:
        raise _mismatch(use_case, f"have no row with the label {name}")
    if count is not None and not known.isin(range(count)).all():
        raise _mismatch(use_case, f"hold a label {name} that is none of 0 to {count - 1}")


def _check_names(use_case: UseCase, name: str, column: pd.Series) -> None:
    """Of classes that are learned: names, two at least."""
    known = column.dropna()
    if not all(isinstance(value, str) and value for value in known):
        raise _mismatch(use_case, f"have the label {name} as something else than names")
    if known.nunique() < 2:
        raise _mismatch(use_case, f"have fewer than two classes in the label {name}")


def _check_rows(use_case: UseCase, sample: pd.DataFrame) -> None:
    for row in request_rows(use_case.request, sample):
        try:
            use_case.request.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the request"
            raise _mismatch(use_case, f"hold a row that no caller could send: {field}: {first['msg']}") from error


def _mismatch(use_case: UseCase, what: str) -> VigieError:
    return VigieError(
        f"The examples of {use_case.name} {what}.",
        expected=f"columns and values as in {use_case.request.__name__} and the declared targets",
        action=f"Correct examples() in raw.py or the request model of {use_case.name}.",
    )
