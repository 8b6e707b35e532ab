"""One request, a batch and a table become the same columns."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from services.core.contract import columns
from services.core.contract.use_case import InputScenario
from tests.toy.declaration import USE_CASE, ToyRequest

rows = st.lists(
    st.fixed_dictionaries(
        {
            "called_at": st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)).map(lambda m: m.replace(tzinfo=UTC)),
            "distance": st.floats(0, 100, allow_nan=False),
            "kind": st.sampled_from(["letter", "parcel"]),
            "town": st.none() | st.text(max_size=8),
        }
    ),
    min_size=1,
    max_size=20,
)


@given(rows)
def test_requests_and_a_table_of_the_same_rows_give_equal_columns(values: list[dict[str, Any]]) -> None:
    from_requests = columns.from_rows(ToyRequest, values)
    frame = pd.DataFrame(values)
    frame["called_at"] = pd.to_datetime(frame["called_at"], utc=True)
    from_table = columns.from_frame(ToyRequest, frame)
    assert list(from_requests) == list(from_table)
    for name, array in from_requests.items():
        assert array.dtype == from_table[name].dtype
        np.testing.assert_array_equal(array, from_table[name])


@given(rows)
def test_a_row_of_a_batch_is_the_row_alone(values: list[dict[str, Any]]) -> None:
    batch = columns.from_rows(ToyRequest, values)
    for index, value in enumerate(values):
        alone = columns.from_rows(ToyRequest, [value])
        assert all(alone[name][0] == batch[name][index] for name in alone)


def test_missing_values_are_nan_for_numbers_and_empty_for_words() -> None:
    class Request(BaseModel):
        number: float | None
        flag: bool | None
        word: str | None
        moment: datetime | None

    found = columns.from_rows(Request, [{"number": None, "flag": None, "word": None, "moment": None}])
    assert found["word"][0] == ""
    assert all(np.isnan(found[name][0]) for name in ("number", "flag", "moment"))


def test_a_date_is_its_midnight_in_a_request_and_in_a_table() -> None:
    class Request(BaseModel):
        day: date | None

    values = [date(2015, 11, 3), None, date(1969, 12, 31)]
    from_requests = columns.from_rows(Request, [{"day": value} for value in values])["day"]
    from_table = columns.from_frame(Request, pd.DataFrame({"day": pd.to_datetime(values, utc=True)}))["day"]
    np.testing.assert_array_equal(from_requests, from_table)
    assert from_requests[0] == datetime(2015, 11, 3, tzinfo=UTC).timestamp()


def test_a_table_without_a_field_of_the_request_is_an_error() -> None:
    with pytest.raises(KeyError, match="distance"):
        columns.from_frame(ToyRequest, pd.DataFrame({"called_at": pd.to_datetime(["2024-01-01"], utc=True)}))


def test_a_field_of_a_kind_that_no_column_can_hold_is_refused_by_name() -> None:
    class Request(BaseModel):
        vehicles: list[str]

    with pytest.raises(TypeError, match=r"Request\.vehicles"):
        columns.column_types(Request)


def test_the_allowed_words_of_a_category_are_known() -> None:
    assert columns.allowed_values(ToyRequest, "kind") == ("letter", "parcel")
    assert columns.allowed_values(ToyRequest, "town") == ()


def test_a_variant_is_the_same_rows_without_some_fields() -> None:
    rows = [
        {"called_at": datetime(2024, 1, day, tzinfo=UTC), "distance": 1.0 * day, "kind": "letter", "town": "east"}
        for day in (1, 2)
    ]
    made = columns.from_rows(ToyRequest, rows)
    before = {name: values.copy() for name, values in made.items()}
    variant = InputScenario("far", "seconds", without=("distance", "town"))
    seen, context = columns.of_variant(USE_CASE, variant, made, {"a": 1})
    assert np.isnan(seen["distance"]).all()
    assert seen["town"].tolist() == ["", ""]
    assert seen["kind"].tolist() == ["letter", "letter"]
    assert context == {"a": 1}
    assert all(np.array_equal(values, before[name]) for name, values in made.items())


def test_a_variant_may_see_anything_else_in_its_own_way() -> None:
    made = columns.from_rows(ToyRequest, [])
    variant = InputScenario("alone", "seconds", lambda its, _: (its, {}), without=("town",))
    seen, context = columns.of_variant(USE_CASE, variant, made, {"a": 1})
    assert context == {}
    assert seen.keys() == made.keys()
