"""How deeply a body nests is known before it is parsed."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.prediction.api.request_body import _nesting_depth

texts = st.text(alphabet='[]{}"\\abc\n', max_size=12)
values = st.recursive(
    texts | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=30,
)


def _really(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_really, value.values()), default=0)
    return 1 + max(map(_really, value), default=0) if isinstance(value, list) else 0


@given(values, st.sampled_from([None, 2]))
def test_the_depth_of_valid_json_is_found_whatever_its_strings_hold(value: Any, indent: int | None) -> None:
    assert _nesting_depth(json.dumps(value, indent=indent).encode()) == _really(value)


@given(st.binary(max_size=60))
def test_any_bytes_have_a_depth(body: bytes) -> None:
    assert 0 <= _nesting_depth(body) <= len(body)
