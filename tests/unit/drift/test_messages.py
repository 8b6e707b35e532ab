"""Reasons are written as each language writes them."""

from __future__ import annotations

import re

import pytest

from services.drift.column_drift import ColumnDrift
from services.drift.messages import Reason, column_reason, effect_on_error, error_reason, estimate_reason
from services.drift.performance.degradation import Degradation
from tests.toy.declaration import USE_CASE

NARROW = "\u202f"


def column(code: str) -> ColumnDrift:
    return ColumnDrift("distance", "number", "wasserstein", 0.26, 0.104, 0.001, True, 0.02, 0.31, 0.12, code, 1.0)


REASONS = {
    "error": error_reason(USE_CASE, Degradation("seconds", None, 136.4, 0.475, 99, 0.001), lasting=True),
    "score": error_reason(USE_CASE, Degradation("late", None, 0.3056, 0.1811, 99, 0.001), lasting=True),
    "bias": error_reason(
        USE_CASE, Degradation("late", None, 0.25, 0.0, 167, 0.001, bias=True, said=0.64, under=True), lasting=False
    ),
    "missing": column_reason(USE_CASE, column("missing"), None, effect_on_error(False, False)),
    "unseen": column_reason(USE_CASE, column("unseen"), None, effect_on_error(True, False)),
    "shifted": column_reason(USE_CASE, column("shifted"), None, effect_on_error(True, True)),
    "estimated": estimate_reason(USE_CASE, "seconds", 61.0, 43.7),
}


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS)
def test_french_has_decimal_commas_and_a_space_before_the_percent_sign(reason: Reason) -> None:
    assert re.search(r"\d", reason.text.fr)
    assert not re.search(r"\d\.\d|\d%", reason.text.fr), reason.text.fr


def test_the_same_is_said_in_both_languages() -> None:
    assert "the model says 64% for 'Late' and it was 89%, on 167 calls" in REASONS["bias"].text.en
    assert (
        f"le modèle dit 64{NARROW}% pour « En retard », c'était 89{NARROW}%, sur 167 appels" in REASONS["bias"].text.fr
    )
    assert "0.306 instead of 0.181 (+69%)" in REASONS["score"].text.en
    assert f"0,306 au lieu de 0,181 (+69{NARROW}%)" in REASONS["score"].text.fr
    assert "(distance 0.26, 0.10 is usual at most)" in REASONS["shifted"].text.en
    assert "(distance 0,26, au plus 0,10 d'ordinaire)" in REASONS["shifted"].text.fr
