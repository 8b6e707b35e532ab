"""Small tables of wines in the official layout."""

from __future__ import annotations

import io
from collections.abc import Callable

import pandas as pd
import pytest

from services.core.contract.use_case import ParsedTable
from services.use_cases.wine_quality import raw
from services.use_cases.wine_quality.request import MEASUREMENTS

HEADER = ";".join(f'"{what.column}"' for what in MEASUREMENTS.values()) + ';"quality"'
WINE = "7.4;0.7;0;1.9;0.076;11;34;0.9978;3.51;0.56;9.4"

Read = Callable[..., ParsedTable]


@pytest.fixture(scope="session")
def read() -> Read:
    def canonical(*lines: str, file: str = "winequality-red.csv") -> ParsedTable:
        frame = pd.read_csv(io.StringIO("\n".join([HEADER, *lines])), sep=";", dtype="str", keep_default_na=False)
        return raw.parse_table("wines", frame.assign(line=range(2, len(frame) + 2), file=file))

    return canonical
