"""Reads deliveries and makes one example of each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from services.core.contract.use_case import ParsedTable
from tests.toy.declaration import SIZES


def parse_table(table: str, frame: pd.DataFrame) -> ParsedTable:
    frame = frame.rename(columns={"time": "called_at"})
    rows = pd.DataFrame(
        {
            "line": frame["line"],
            "delivery_id": frame["delivery_id"].str.strip(),
            "called_at": pd.to_datetime(frame["called_at"], utc=True, errors="coerce"),
            "distance": pd.to_numeric(frame["distance"], errors="coerce"),
            "kind": frame["kind"],
            "town": frame["town"],
            "seconds": pd.to_numeric(frame["seconds"], errors="coerce"),
            "size": frame["size"],
        }
    )
    reason = pd.Series("", index=rows.index, dtype=object)
    reason[~rows["kind"].isin(["letter", "parcel"])] = "kind is not letter or parcel"
    reason[rows["distance"].isna()] = "distance is not a number"
    reason[rows["called_at"].isna()] = "called_at is not a time"
    bad = reason != ""
    faults = pd.DataFrame({"line": rows.loc[bad, "line"], "reason": reason[bad]})
    return ParsedTable(rows[~bad].reset_index(drop=True), faults.reset_index(drop=True))


def build_examples(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    rows = tables["deliveries"]
    return pd.DataFrame(
        {
            "delivery_id": rows["delivery_id"],
            "event_time": rows["called_at"],
            "called_at": rows["called_at"],
            "distance": rows["distance"],
            "kind": rows["kind"],
            "town": rows["town"],
            "seconds": rows["seconds"],
            "late": np.where(rows["seconds"].isna(), np.nan, (rows["seconds"] > 600).astype(float)),
            "size": rows["size"].map({size: index for index, size in enumerate(SIZES)}).astype(float),
        }
    ).sort_values("event_time", ignore_index=True)
