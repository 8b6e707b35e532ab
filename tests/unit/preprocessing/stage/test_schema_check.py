"""What the models learn from is what a caller can send."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from services.core.contract.use_case import UseCase
from services.core.errors import VigieError
from services.preprocessing.stage.preprocess import check_schema, to_request_rows


@pytest.fixture
def examples() -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=6, freq="h", tz="UTC")
    return pd.DataFrame(
        {
            "delivery_id": [f"D{number}" for number in range(6)],
            "event_time": times,
            "called_at": times,
            "distance": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "kind": ["letter", "parcel"] * 3,
            "town": ["east", "", "west", None, "north", "east"],
            "seconds": [60.0, np.nan, 90.0, 100.0, 110.0, 120.0],
            "late": [0.0, np.nan, 0.0, 0.0, 1.0, 1.0],
            "size": [0.0, 1.0, 2.0, 0.0, 1.0, np.nan],
        }
    )


def test_good_examples_pass(toy: UseCase, examples: pd.DataFrame) -> None:
    check_schema(toy, examples, 100)


def test_missing_values_are_sent_as_a_caller_would_send_them(toy: UseCase, examples: pd.DataFrame) -> None:
    rows = to_request_rows(toy.serving.request, examples)
    assert ["town" in row for row in rows] == [True, False, True, False, True, True]


@pytest.mark.parametrize("column", ["distance", "town", "seconds", "size", "delivery_id", "event_time"])
def test_a_missing_column_is_named(toy: UseCase, examples: pd.DataFrame, column: str) -> None:
    with pytest.raises(VigieError, match=f"The examples of toy have no column {column}"):
        check_schema(toy, examples.drop(columns=column), 100)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("distance", "3 km", "have distance as str, not as numbers"),
        ("called_at", "2024-01-01", "have called_at as str, not as times with a zone"),
        ("called_at", pd.Timestamp("2024-01-01"), "have called_at as datetime64"),
        ("kind", "elephant", "hold 'elephant' in kind, which the request does not allow"),
        ("kind", 3, "have kind as int64, not as text"),
        ("distance", -5.0, "hold a row that no caller could send: distance"),
        ("distance", 500.0, "hold a row that no caller could send: distance"),
        ("town", "x" * 41, "hold a row that no caller could send: town"),
        ("seconds", "soon", "have the label seconds as str, not as numbers"),
        ("seconds", np.nan, "seconds is missing in all [0-9]+ rows"),
        ("late", 2.0, "hold a label late that is none of 0 to 1"),
        ("size", 3.0, "hold a label size that is none of 0 to 2"),
        ("size", 0.5, "hold a label size that is none of 0 to 2"),
    ],
)
def test_a_value_that_breaks_the_contract_is_named(
    toy: UseCase, examples: pd.DataFrame, column: str, value: object, message: str
) -> None:
    with pytest.raises(VigieError, match=message):
        check_schema(toy, examples.assign(**{column: value}), 100)


def test_a_sampled_row_that_the_request_refuses_is_found_among_many(toy: UseCase, examples: pd.DataFrame) -> None:
    examples.loc[4, "distance"] = 101.0
    with pytest.raises(VigieError, match="distance: Input should be less than or equal to 100"):
        check_schema(toy, examples, 6)


def test_no_example_at_all_is_an_error(toy: UseCase, examples: pd.DataFrame) -> None:
    with pytest.raises(VigieError, match="make no example"):
        check_schema(toy, examples.iloc[:0], 100)
