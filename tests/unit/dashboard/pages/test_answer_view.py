"""What is shown of an answer: its typed predictions, and the fields that belong to no target."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from services.core import use_case_registry
from services.core.contract.use_case import Text, UseCase, example_request
from services.core.messages import Formats, Translator
from services.dashboard.pages.board.calls import answer_text
from services.dashboard.pages.call.answer_view import extra_fields, target_card
from services.dashboard.session import Session
from services.prediction.inference.response_builder import ResponseBuilder

FIRE = use_case_registry.get("fire_response")
PRODUCT = use_case_registry.get("product_category")
SESSION = cast("Session", SimpleNamespace(words=Translator("en"), formats=Formats("en")))


def body(use_case: UseCase, **facts: Any) -> dict[str, Any]:
    fields = use_case.serving.request.model_validate(example_request(use_case.serving.request)).model_dump()
    values, known = use_case.serving.fallback_prediction(fields)
    return ResponseBuilder(use_case).body(values, {**known, **facts}, fields)


def test_each_kind_of_prediction_has_its_card() -> None:
    predictions = body(FIRE)["predictions"]
    cards = {target.name: target_card(SESSION, target, predictions[target.name]) for target in FIRE.modelling.targets}
    assert "objective" in cards["attendance_seconds"]
    assert "threshold" in cards["over_360s"] or "from" in cards["over_360s"]
    assert "5+" in cards["pumps"]


def test_a_class_is_shown_by_its_name_where_it_has_one() -> None:
    predicted = body(PRODUCT, names={"2583": "Swimming pools"})["predictions"]["category"]
    assert "Swimming pools" in target_card(SESSION, PRODUCT.modelling.targets[0], predicted)


def test_what_belongs_to_no_target_stays_with_its_title_in_both_languages() -> None:
    leaves = {
        (leaf.group.fr if leaf.group else "", leaf.title.en): leaf.value
        for leaf in extra_fields(FIRE.serving.answer, body(FIRE)["answer"])
    }
    assert leaves["Risque sous-estimé ici ?", "Underestimated"] is False
    reason = leaves["Risque sous-estimé ici ?", "Reason"]
    assert isinstance(reason, Text)
    assert reason.fr.startswith("Aucune sous-estimation"), "each language has its sentence"
    assert ("Risque sous-estimé ici ?", "Reason in French") not in leaves
    assert not any("probab" in title.lower() for _, title in leaves), "targets are no further fields"


def test_a_logged_call_is_a_line_of_its_targets() -> None:
    line = answer_text(SESSION, FIRE, body(FIRE))
    assert line.count(" · ") == len(FIRE.modelling.targets) - 1


def test_a_withdrawn_target_is_shown_as_such_with_or_without_figures() -> None:
    target = FIRE.modelling.targets[0]
    bare = target_card(SESSION, target, None)
    assert "v-tag bad" in bare
    assert "WITHDRAWN" in bare
    figures = {"kind": "quantity", "unit": "s", "value": 300.0, "lower": 200.0, "upper": 400.0}
    assert "WITHDRAWN" not in target_card(SESSION, target, figures)
    assert "WITHDRAWN" in target_card(SESSION, target, figures | {"withdrawn": True})
    call = {"answer": {}, "predictions": None, "source": "withdrawn"}
    assert "stopped the model" in answer_text(SESSION, FIRE, call)


def test_a_call_that_release_0_1_0_answered_is_shown_field_by_field() -> None:
    old = {"answer": {"seconds": {"median": 300.0, "lower": 200.0}, "late": False}, "predictions": None}
    assert answer_text(SESSION, FIRE, old) == "seconds.median: 300.0 · seconds.lower: 200.0 · late: False"
