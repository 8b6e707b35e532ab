"""Answers are read by the declaration's targets, whatever shape a use case gives them."""

from __future__ import annotations

from typing import Any

import pytest

from services.core import use_case_registry
from services.core.contract.use_case import BinaryClassification, MultiClass, Regression, UseCase, example_request
from services.dashboard.api.answer_reader import parse_answer
from tests.toy.declaration import USE_CASE as TOY

EVERY = [*use_case_registry.list_use_cases(), TOY]


def example(use_case: UseCase) -> dict[str, Any]:
    return use_case.request.model_validate(example_request(use_case.request)).model_dump()


def answer(use_case: UseCase) -> dict[str, Any]:
    """The answer that the business rules make of the declared baseline."""
    values, facts = use_case.baseline(example(use_case))
    return use_case.compose(values, facts, example(use_case))


@pytest.mark.parametrize("use_case", EVERY, ids=lambda use_case: use_case.name)
def test_every_target_of_every_use_case_is_found_in_its_answer(use_case: UseCase) -> None:
    found = parse_answer(use_case, answer(use_case))
    kinds: list[tuple[type, Any]] = [
        (Regression, found.quantities), (BinaryClassification, found.probabilities), (MultiClass, found.classes),
    ]  # fmt: skip
    for kind, parts in kinds:
        wanted = [target.name for target in use_case.targets if isinstance(target.output, kind)]
        got = [part.target.name for part in parts]
        assert got == wanted[: len(got)]
        assert bool(got) == bool(wanted)


def test_a_quantity_is_read_with_its_interval_and_what_it_is_held_against() -> None:
    fire = use_case_registry.get("fire_response")
    [seconds] = parse_answer(fire, answer(fire)).quantities
    assert seconds.lower < seconds.value < seconds.upper
    assert seconds.output.objective == 360.0


def test_what_belongs_to_no_target_stays_with_its_title_in_both_languages() -> None:
    fire = use_case_registry.get("fire_response")
    leaves = {
        (leaf.group.fr if leaf.group else "", leaf.title.en): leaf.value
        for leaf in parse_answer(fire, answer(fire)).leaves
    }
    assert leaves["Risque sous-estimé ici ?", "Underestimated"] is False
    reason = leaves["Risque sous-estimé ici ?", "Reason"]
    assert reason.fr.startswith("Aucune sous-estimation"), "each language has its sentence"
    assert ("Risque sous-estimé ici ?", "Reason in French") not in leaves
    assert ("", "Objective") not in leaves, "it is the mark on the bar already"


def test_candidates_in_a_list_are_classes_with_their_names() -> None:
    product = use_case_registry.get("product_category")
    top = [
        {"category": "10", "name": "Books", "probability": 0.7},
        {"category": "40", "name": None, "probability": 0.2},
    ]
    [found] = parse_answer(product, {**top[0], "top": top, "used": ["title"]}).classes
    assert (found.most_likely, found.shares, found.names) == ("10", {"10": 0.7, "40": 0.2}, {"10": "Books"})
