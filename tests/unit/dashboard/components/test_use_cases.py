"""Forms follow from the declarations: bounds, words, and faults in the page's language."""

from __future__ import annotations

import pytest

from services.core import use_case_registry
from services.core.contract.use_case import UseCase
from services.core.messages import Formats, Translator
from services.dashboard.components.use_cases import fields_of, validate_request

FIRE = use_case_registry.get("fire_response")
CALL = {"call_time": "2024-03-14T18:25:00", "easting": 530_850, "northing": 180_950}


def faults(language: str = "en", **changed: object) -> dict[str, str]:
    words = Translator(language)  # type: ignore[arg-type]
    return validate_request(FIRE.serving.request, {**CALL, **changed}, words, Formats(words.language)).faults


@pytest.mark.parametrize("use_case", use_case_registry.list_use_cases(), ids=lambda use_case: use_case.name)
def test_every_field_has_a_title_and_help_in_both_languages(use_case: UseCase) -> None:
    for field in fields_of(use_case.serving.request).values():
        assert field.title.en
        assert field.title.fr
        assert field.help.fr


def test_a_field_knows_its_unit_bounds_and_words() -> None:
    fields = fields_of(FIRE.serving.request)
    assert fields["easting"].bounds(Formats("en")) == "490,000 – 575,000 m"
    assert fields["pumps_already_out"].whole
    assert fields["incident_group"].words == ("Fire", "False Alarm", "Special Service")
    assert fields["call_time"].required


def test_empty_fields_are_not_sent_and_no_fault() -> None:
    found = validate_request(
        FIRE.serving.request, {**CALL, "property_type": "", "incident_group": None}, Translator("en"), Formats("en")
    )
    assert found.faults == {}
    assert found.payload == CALL


def test_faults_are_said_in_the_language_of_the_page() -> None:
    assert faults("en", pump_order=99) == {"pump_order": "Allowed: 1 – 20."}
    assert faults("fr", easting=3) == {"easting": "Autorisé : 490\u202f000 – 575\u202f000 m."}
    assert faults("fr", incident_group="Flood") == {"incident_group": "Ce mot n'est pas autorisé."}
    assert "a place is needed" in faults("en", easting=None, northing=None)[""]
