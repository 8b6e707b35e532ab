"""Checks the tables of an ingestion against each other (joins) and against what is possible and what came before
(meaning)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from services.core.contract.use_case import Join, Plausible, Table
from services.core.errors import VigieError

_EXAMPLES = 3
_DEVIATIONS = 3.0
"""How many standard errors a share has to lie outside its bounds: a file of a few rows says little."""
_MINIMUM_ROWS = 200
"""Fewest rows of a file, and of the files before it, for comparing the two."""
_SHIFT = 0.3
"""Share of the rows (total variation distance) that has to hold other values than the files before."""
_MISSING = "(missing)"


@dataclass(frozen=True, slots=True)
class JoinReport:
    """Rows of one table that another does not know."""

    table: str
    other: str
    column: str
    unknown: int
    rows: int
    text: str
    """In plain words, with periods and examples."""
    lost: bool
    """Whether they are of no use."""
    reason: str = ""
    """Why the values may not meet, as the use case declares it."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Values of a file that may mean something else than the layout says. A person has to confirm them."""

    file: str
    table: str
    column: str
    text: str
    code: str
    """What a person confirms. It follows from table, column and figures, so the same rows need it once."""


def check_joins(tables: Sequence[Table], merged: Mapping[str, pd.DataFrame]) -> list[JoinReport]:
    """Count the rows that belong to no row of the other table, for every declared join, both ways."""
    reports = []
    for table in tables:
        for join in table.joins:
            if table.name in merged and join.table in merged:
                own, other = merged[table.name], merged[join.table]
                own = own if join.within is None else _of_the_same_time(own, other, join.within)
                reports.append(_unknown(join, table.name, own[join.column], join.table, other[join.column]))
                if join.within is None:
                    absent = other[[join.column]].drop_duplicates()[join.column]
                    reports.append(_unknown(join, join.table, absent, table.name, own[join.column], reverse=True))
    return [report for report in reports if report is not None]


def refuse_lost(reports: Sequence[JoinReport], max_bad_share: float) -> None:
    """Refuse tables of which too many rows would be lost.

    Raises:
        VigieError: more than ``max_bad_share`` of the rows that a table has belong to no row of another one.
    """
    worst = [report for report in reports if report.lost and report.unknown > max_bad_share * report.rows]
    if worst:
        reasons = " ".join(dict.fromkeys(report.reason for report in worst if report.reason))
        raise VigieError(
            "; ".join(report.text for report in worst) + ". Nothing was changed." + (f" {reasons}" if reasons else ""),
            expected=f"at most {max_bad_share:.1%} of the rows without their counterpart in the other files",
            action="Add the file that is missing or was cut off, or raise max_bad_share in params.yaml if these rows "
            "may be lost.",
        )


def _of_the_same_time(own: pd.DataFrame, other: pd.DataFrame, within: tuple[str, str]) -> pd.DataFrame:
    times = other[within[1]].dropna()
    return own[own[within[0]].between(times.min(), times.max())] if len(times) else own.iloc[:0]


def _unknown(
    join: Join, table: str, values: pd.Series, other: str, known: pd.Series, *, reverse: bool = False
) -> JoinReport | None:
    missing = values[~values.isin(known.unique())]
    if missing.empty:
        return None
    periods = ""
    if join.period:
        counts = missing.str[: join.period].value_counts().sort_index()
        totals = values.str[: join.period].value_counts()
        parts = (f"{name}: {count} of {totals[str(name)]}" for name, count in counts.items())
        periods = f" ({', '.join(parts)})"
    examples = ", ".join(str(value) for value in missing.unique()[:_EXAMPLES])
    return JoinReport(
        table,
        other,
        join.column,
        len(missing),
        len(values),
        f"{len(missing)} of {len(values)} {'values of ' + join.column if reverse else 'rows'} of {table} are not in "
        f"{other}{periods}, such as {examples}",
        lost=join.lost_if_absent if reverse else join.lost_if_unknown,
        reason=join.reason,
    )


def check_meaning(table: Table, files: Sequence[tuple[str, pd.DataFrame]]) -> list[Doubt]:
    """Compare each file of a table, oldest first, with what the use case declares as possible and with the files
    before it."""
    doubts = []
    for place, (name, rows) in enumerate(files):
        for plausible in table.plausible:
            column = rows[plausible.column]
            before = [frame[plausible.column] for _, frame in files[:place]]
            texts = _impossible(plausible, column)
            if not texts and sum(map(len, before)) >= _MINIMUM_ROWS <= len(column):
                texts = _shifted(plausible, column, pd.concat(before, ignore_index=True))
            if texts:
                code = _code(table.name, plausible.column, column)
                doubts.append(Doubt(name, table.name, plausible.column, "; ".join(texts), code))
    return doubts


def refuse_doubts(doubts: Sequence[Doubt], confirmed: frozenset[str]) -> None:
    """Refuse files whose values a person has not confirmed.

    Raises:
        VigieError: there are some; with the codes that confirm them.
    """
    unconfirmed = [doubt for doubt in doubts if doubt.code not in confirmed]
    if unconfirmed:
        codes = ",".join(dict.fromkeys(doubt.code for doubt in unconfirmed))
        raise VigieError(
            "; ".join(f"{doubt.file}: {doubt.column} of {doubt.table}: {doubt.text}" for doubt in unconfirmed)
            + ". Nothing was changed.",
            expected="values that mean what the official layout says, as in the files before",
            action="Compare with the publisher's documentation. If the values are right, start the ingestion again and "
            f"confirm them: --confirm {codes} on the command line, or {codes} as the codes to confirm elsewhere.",
        )


def _impossible(plausible: Plausible, column: pd.Series) -> list[str]:
    known = column[column.notna() & (column.astype("str") != "")]
    texts = []
    for value, (low, high) in plausible.shares.items():
        count = int((known == value).sum())
        lowest, highest = _bounds(count, len(known))
        if lowest > high or highest < low:
            possible = f"{low:.0%} to {high:.0%}" if low else f"at most {high:.0%}"
            share = count / len(known)
            texts.append(
                f"{_named(plausible, value)} in {count} of {len(known)} rows ({share:.0%}), possible are {possible}"
            )
    if plausible.median is not None and len(known):
        low, high = plausible.median
        median = float(known.median())
        if not low <= median <= high:
            texts.append(f"half of the {len(known)} rows are above {median:g}, possible are {low:g} to {high:g}")
    return texts


def _shifted(plausible: Plausible, column: pd.Series, before: pd.Series) -> list[str]:
    if plausible.median is not None:
        low, high = (float(before.quantile(level)) for level in (0.1, 0.9))
        median = float(column.median())
        if low <= median <= high:
            return []
        return [
            f"half of the rows are above {median:g}; in the files before four of five lay between {low:g} and {high:g}"
        ]
    now, then = (_shares(values) for values in (column, before))
    both = now.index.union(then.index)
    change = now.reindex(both, fill_value=0.0) - then.reindex(both, fill_value=0.0)
    if float(change.abs().sum()) / 2 <= _SHIFT:
        return []
    value = cast("float | str", change.abs().idxmax())
    shares = f"{now.get(value, 0.0):.0%} of the rows, in the files before in {then.get(value, 0.0):.0%}"
    return [f"{_named(plausible, value)} in {shares}"]


def _shares(values: pd.Series) -> pd.Series:
    return (
        values.astype(object)
        .where(values.notna() & (values.astype("str") != ""), _MISSING)
        .value_counts(normalize=True)
    )


def _named(plausible: Plausible, value: float | str) -> str:
    written = f"{value:g}" if isinstance(value, float) else str(value)
    meaning = plausible.meaning.get(value)
    return f"{written} ({meaning})" if meaning else written


def _bounds(count: int, total: int) -> tuple[float, float]:
    """Wilson interval of a share."""
    if not total:
        return 0.0, 1.0
    z2, share = _DEVIATIONS**2, count / total
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _DEVIATIONS * float(np.sqrt(share * (1 - share) / total + z2 / (4 * total**2))) / (1 + z2 / total)
    return centre - half, centre + half


def _code(table: str, name: str, column: pd.Series) -> str:
    counts = sorted((str(value), int(count)) for value, count in column.value_counts(dropna=False).items())
    return "v" + hashlib.sha256(json.dumps([table, name, counts]).encode()).hexdigest()[:7]
