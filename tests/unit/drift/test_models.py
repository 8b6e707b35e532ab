"""Fields of the test set are blank as often as callers omit them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from services.drift.models import _mask_like_traffic
from tests.toy.bundles import make_examples
from tests.toy.declaration import USE_CASE


def rows(seed: int, *, without_town: float) -> pd.DataFrame:
    made = make_examples(1_000, seed=seed)
    blank = np.random.default_rng(seed).random(len(made)) < without_town
    made["town"] = np.where(blank, "", made["town"])
    return made


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_a_field_that_callers_leave_out_is_blank_there_as_often(share: float) -> None:
    frozen = rows(1, without_town=0.0)
    told = _mask_like_traffic(USE_CASE, frozen, rows(2, without_town=share))
    assert (told["town"] == "").mean() == pytest.approx(share, abs=0.05)
    assert (frozen["town"] != "").all(), "the rows themselves stay"


def test_what_callers_say_more_often_than_the_frozen_rows_is_not_made_up() -> None:
    frozen = rows(1, without_town=0.5)
    assert _mask_like_traffic(USE_CASE, frozen, rows(2, without_town=0.0)).equals(frozen)
