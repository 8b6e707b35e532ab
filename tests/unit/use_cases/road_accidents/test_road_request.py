"""What a caller may send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.use_cases.road_accidents.code_labels import CODE_LABELS, OBSTACLES_BY_HARDNESS
from services.use_cases.road_accidents.declaration import USE_CASE
from services.use_cases.road_accidents.geography import FRANCE, commune_code, department_code, department_of, road_name
from services.use_cases.road_accidents.request import RoadAccidentRequest

SCRAPS = [
    "RD",
    "D",
    "N",
    "A",
    "CD",
    "0",
    "007",
    "12",
    "12bis",
    "RPT",
    "AV",
    "RUE",
    "NATIONALE",
    "N°",
    "/",
    "de",
    "PK",
    "RAS",
]
LEAST: dict[str, Any] = {
    "occurred_at": "2024-10-12T18:40:00",
    "urban": False,
    "road_category": "departmental",
    "collision": "head_on",
}


def test_four_fields_are_enough() -> None:
    request = RoadAccidentRequest.model_validate(LEAST)
    assert request.people is None
    assert request.cars == 0


def test_the_examples_of_the_manual_make_a_valid_request() -> None:
    fields = RoadAccidentRequest.model_json_schema()["properties"]
    request = RoadAccidentRequest.model_validate({name: field["examples"][0] for name, field in fields.items()})
    assert request.occurred_at == datetime(2024, 10, 12, 16, 40, tzinfo=UTC)


@pytest.mark.parametrize("field", sorted(RoadAccidentRequest.model_fields))
def test_every_field_has_title_and_help_in_both_languages(field: str) -> None:
    described = RoadAccidentRequest.model_json_schema()["properties"][field]
    for key in ("title", "description", "x-title-fr", "x-help-fr", "examples"):
        assert described[key]


@pytest.mark.parametrize(
    "change",
    [
        {"latitude": float("nan")},
        {"latitude": 91},
        {"longitude": float("inf")},
        {"speed_limit": 900},
        {"speed_limit": float("nan")},
        {"cars": -1},
        {"people": 0},
        {"collision": 3},
        {"collision": "frontal"},
        {"department": "20"},
        {"department": "96"},
        {"commune": "Grenoble"},
        {"road": "x" * 201},
        {"occurred_at": "yesterday"},
        {"secu1": 1},
        {"grav": 2},
    ],
)
def test_what_cannot_be_is_refused_by_its_field(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        RoadAccidentRequest.model_validate({**LEAST, **change})
    assert refused.value.errors()[0]["loc"][0] == next(iter(change))


@pytest.mark.parametrize(
    ("place", "utc"),
    [
        ({}, "2024-10-12T16:40:00+00:00"),
        ({"department": "38"}, "2024-10-12T16:40:00+00:00"),
        ({"department": "974"}, "2024-10-12T14:40:00+00:00"),
        ({"commune": "97105"}, "2024-10-12T22:40:00+00:00"),
    ],
)
def test_a_time_without_a_zone_is_local_to_the_department(place: dict[str, Any], utc: str) -> None:
    moment = RoadAccidentRequest.model_validate({**LEAST, **place}).occurred_at
    assert moment.astimezone(UTC).isoformat() == utc


def test_spellings_of_one_place_are_one_text() -> None:
    request = RoadAccidentRequest.model_validate(
        {**LEAST, "department": " 2a", "commune": "2a004", "road": "12, rue d'Hautpoul"}
    )
    assert (request.department, request.commune, request.road) == ("2A", "2A004", "HAUTPOUL RUE")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("D'HAUTPOUL (RUE)", "HAUTPOUL RUE"),
        ("AV. DU GÉNÉRAL LECLERC", "AVENUE GENERAL LECLERC"),
        ("GENERAL LECLERC (AVENUE DU)", "AVENUE GENERAL LECLERC"),
        ("Avenue du Gal Leclerc / Rue de Valenton", "AVENUE GENERAL LECLERC"),
        ("RD 918", "D918"),
        ("D0918", "D918"),
        ("CD 52", "D52"),
        ("ROUTE NATIONALE N° 7", "N7"),
        ("NATIONALE 7", "N7"),
        ("AUTOROUTE A86", "A86"),
        ("d5 PR 17+051", "D5"),
        ("RPT DE LA VICTOIRE", "POINT ROND VICTOIRE"),
        ("D 0", ""),
        ("Unknown", ""),
        ("TOUTES RUES", ""),
        ("PK 071+900", ""),
        ("", ""),
    ],
)
def test_a_road_has_one_name_however_it_is_written(written: str, name: str) -> None:
    assert road_name(written) == name


@given(st.text(max_size=60) | st.lists(st.sampled_from(SCRAPS), max_size=8).map(" ".join))
def test_normalising_a_road_twice_changes_nothing_more(text: str) -> None:
    once = road_name(text)
    assert road_name(once) == once
    assert "\n" not in once


@given(st.text(max_size=8))
def test_codes_are_stable_under_normalising(text: str) -> None:
    assert department_code(department_code(text)) == department_code(text)
    assert commune_code(commune_code(text)) == commune_code(text)


def test_every_department_of_the_country_is_accepted_and_has_an_area() -> None:
    for department in FRANCE.areas:
        assert RoadAccidentRequest.model_validate({**LEAST, "department": department}).department == department
    assert department_of("97302") == "973"
    assert department_of("2A004") == "2A"


def test_every_word_of_the_tables_is_a_word_of_the_request() -> None:
    fields = {
        "lum": "light",
        "atm": "weather",
        "catr": "road_category",
        "col": "collision",
        "int": "intersection",
        "surf": "surface",
        "prof": "slope",
        "plan": "bend",
        "circ": "traffic",
        "situ": "spot",
        "infra": "structure",
        "obs": "obstacle",
    }
    assert set(fields) == set(CODE_LABELS)
    for table, field in fields.items():
        for word in CODE_LABELS[table].values():
            RoadAccidentRequest.model_validate({**LEAST, field: word})
    assert set(OBSTACLES_BY_HARDNESS) == set(CODE_LABELS["obs"].values())


def test_no_user_of_the_accident_is_described() -> None:
    """Severity, equipment, seat, age and sex of a user are known after the fact, or by the label."""
    forbidden = {"grav", "severity", "secu1", "place", "catu", "sexe", "sex", "age", "an_nais", "victim_age", "num_acc"}
    assert not forbidden & {name.lower() for name in USE_CASE.serving.request.model_fields}
