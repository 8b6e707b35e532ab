"""Reasons are sentences of the catalogue, with numbers as each language writes them."""

from __future__ import annotations

import re

import pytest

from services.core.messages import Translator, render
from services.drift.column_drift import ColumnDrift
from services.drift.performance.degradation import Degradation
from services.drift.reasons import Reason, column_reason, effect_on_error, error_reason, estimate_reason
from services.drift.run_store import with_sentences
from tests.toy.declaration import USE_CASE

NARROW = "\u202f"


def column(code: str) -> ColumnDrift:
    return ColumnDrift("distance", "number", "wasserstein", 0.26, 0.104, 0.001, True, 0.02, 0.31, 0.12, code, 1.0)


REASONS = {
    "error": error_reason(USE_CASE, Degradation("seconds", None, 136.4, 0.475, 99, 0.001), lasting=True),
    "score": error_reason(USE_CASE, Degradation("late", None, 0.3056, 0.1811, 99, 0.001), lasting=True),
    "bias": error_reason(
        USE_CASE, Degradation("late", None, 0.25, 0.0, 167, 0.001, bias=True, predicted=0.64, under=True), lasting=False
    ),
    "missing": column_reason(USE_CASE, column("missing"), None, effect_on_error(False, False)),
    "unseen": column_reason(USE_CASE, column("unseen"), None, effect_on_error(True, False)),
    "shifted": column_reason(USE_CASE, column("shifted"), None, effect_on_error(True, True)),
    "estimated": estimate_reason(USE_CASE, "seconds", 61.0, 43.7),
}


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS)
def test_french_has_decimal_commas_and_a_space_before_the_percent_sign(reason: Reason) -> None:
    french = render(reason.message, "fr")
    assert re.search(r"\d", french)
    assert not re.search(r"\d\.\d|\d%", french), french


def test_the_same_is_said_in_both_languages() -> None:
    english, french = (
        {name: render(reason.message, language) for name, reason in REASONS.items()} for language in ("en", "fr")
    )
    assert "the model says 64% for 'Late' and it was 89%, on 167 calls" in english["bias"]
    assert english["bias"].endswith("during the whole window; not for long enough yet.")
    assert f"le modèle dit 64{NARROW}% pour « En retard », c'était 89{NARROW}%, sur 167 appels" in french["bias"]
    assert "0.306 instead of 0.181 (+69%)" in english["score"]
    assert f"0,306 au lieu de 0,181 (+69{NARROW}%)" in french["score"]
    assert "(distance 0.26, 0.10 is usual at most)" in english["shifted"]
    assert "(distance 0,26, au plus 0,10 d'ordinaire)" in french["shifted"]
    assert "136 s instead of 0.475 s" in english["error"]


def test_what_is_stored_of_a_reason_has_codes_and_values_and_no_sentence() -> None:
    stored = REASONS["missing"].as_json()
    assert stored["code"] == "input_missing"
    assert stored["message"]["code"] == "monitoring.missing"
    assert stored["message"]["values"]["current"] == 0.31
    assert not {"en", "fr"} & set(stored)


def test_runs_of_the_first_release_keep_their_sentences() -> None:
    old = {"code": "volume", "en": "9 calls came.", "fr": "9 appels."}
    new = REASONS["unseen"].as_json()
    action = {"kind": "none", "en": "Nothing was done.", "fr": "Rien n'a été fait."}
    sent = with_sentences({"reasons": [old, new], "action": action})
    assert (sent["reasons"][0], sent["action"]) == (old, action)
    assert sent["reasons"][1]["en"] == render(REASONS["unseen"].message, "en")
    assert [Translator("fr").pair(entry) for entry in sent["reasons"]] == [
        "9 appels.",
        render(REASONS["unseen"].message, "fr"),
    ]
