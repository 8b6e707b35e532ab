"""Rows of many files -> one table: newer files correct older ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from services.core.usecases.contract import Table


def merge(table: Table, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table of the canonical rows of ``frames``, oldest first, sorted by the table's key.

    All rows of a key are replaced together by those of the newest file that has the key. Within a file
    the last row of a key wins unless the table has several rows for one. Line numbers are left out and
    the order does not depend on the files, so the same rows make the same table however they came."""
    key = list(table.key)
    kept = [_latest(frame.drop(columns="line", errors="ignore"), table) for frame in frames]
    merged = kept[0] if len(kept) == 1 else _replaced(kept, key)
    return merged.sort_values(key, kind="stable", ignore_index=True)


def _latest(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    return frame if table.several_rows else frame.drop_duplicates(list(table.key), keep="last")


def _replaced(frames: list[pd.DataFrame], key: list[str]) -> pd.DataFrame:
    rows = pd.concat(frames, ignore_index=True)
    file = pd.Series(np.repeat(np.arange(len(frames)), [len(frame) for frame in frames]), index=rows.index)
    newest = file.groupby([rows[name] for name in key], dropna=False, sort=False).transform("max")
    return rows[file == newest]
