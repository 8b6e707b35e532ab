"""The page Board: calls as they come, what became of them, and the handover sheet."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.core.auth.principal import Role
from tests.integration.dashboard.conftest import SignedIn, choose, settled, typed, visit
from tests.integration.dashboard.local_platform import Platform

pytestmark = pytest.mark.browser


def call(platform: Platform, **changed: Any) -> str:
    """One live call; its incident number."""
    incident = f"I-{uuid.uuid4().hex[:8]}"
    body = {
        "call_time": "2024-03-14T18:25:00",
        "easting": 530_850,
        "northing": 180_950,
        "incident_group": "Fire",
        "property_category": "Dwelling",
        "incident_id": incident,
        **changed,
    }
    platform.ask("/v1/fire_response/predict", body, role=Role.DISPATCHER)
    return incident


def row(page: Any, incident: str) -> Any:
    found = page.locator("[class*=st-key-row-]").filter(has_text=incident)
    found.first.wait_for()
    return found.first


def test_a_new_call_appears_by_itself(signed_in: SignedIn, platform: Platform) -> None:
    page = signed_in(Role.VIEWER, "en", "/board")
    incident = call(platform)
    row(page, incident)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_an_outcome_and_an_override_are_recorded_in_the_row(
    signed_in: SignedIn,
    platform: Platform,
    shot: Callable[..., None],
    accessible: Callable[[Any], None],
    language: str,
) -> None:
    incident = call(platform)
    page = signed_in(Role.DISPATCHER, language, "/board")
    row(page, incident).get_by_role("button", name={"en": "Outcome", "fr": "Résultat"}[language]).click()
    form = row(page, incident).locator("[class*=st-key-outcome-]").first
    form.wait_for()
    title = {"en": "Seconds to arrival (s)", "fr": "Secondes jusqu'à l'arrivée (s)"}[language]
    typed(page, form.get_by_label(title, exact=True), "287")
    reason = {"en": "We decided otherwise, because …", "fr": "Nous avons décidé autrement, parce que …"}[language]
    typed(page, form.get_by_label(reason, exact=True), "Gas bottles: a second pump.")
    shot(page, f"board-outcome-{language}", whole=False)
    accessible(page)
    form.get_by_role("button", name={"en": "Save", "fr": "Enregistrer"}[language]).click()
    row(page, incident).get_by_text("Gas bottles: a second pump.").wait_for()
    row(page, incident).get_by_text("287").wait_for()
    shot(page, f"board-{language}", whole=False)
    [found] = platform.ask(f"/v1/fire_response/predictions?incident_id={incident}")["predictions"]
    assert found["outcome"] == {"attendance_seconds": 287.0}
    assert found["override"] == "Gas bottles: a second pump."


def test_a_viewer_can_look_and_change_nothing(signed_in: SignedIn, platform: Platform) -> None:
    incident = call(platform)
    page = signed_in(Role.VIEWER, "en", "/board")
    assert row(page, incident).get_by_role("button").count() == 0


def test_calls_are_filtered_by_area(signed_in: SignedIn, platform: Platform) -> None:
    north_east, south_west = (
        call(platform, easting=550_000, northing=194_000),
        call(platform, easting=512_000, northing=163_000),
    )
    page = signed_in(Role.VIEWER, "en", "/board")
    row(page, south_west)
    choose(page, page.get_by_label("Area", exact=True), "North-east")
    row(page, north_east)
    page.locator("[class*=st-key-row-]").filter(has_text=south_west).wait_for(state="detached")


def test_nothing_there_yet_is_said_in_plain_words(signed_in: SignedIn, shot: Callable[..., None]) -> None:
    page = signed_in(Role.VIEWER, "en", "/board?use_case=rain_tomorrow")
    page.get_by_text("No calls yet").wait_for()
    shot(page, "board-empty", whole=False)


def test_the_handover_sheet_has_the_shift_and_can_be_taken_away(
    signed_in: SignedIn, platform: Platform, shot: Callable[..., None], accessible: Callable[[Any], None]
) -> None:
    incident = call(platform)
    page = signed_in(Role.DISPATCHER, "en", "/board")
    row(page, incident)
    page.get_by_text("Handover sheet").click()
    page.locator(".v-sheet").get_by_text(incident).first.wait_for()
    page.get_by_label("Notes for the next shift", exact=True).fill("Road works on the bridge.")
    page.get_by_label("Notes for the next shift", exact=True).press("Tab")
    page.locator(".v-sheet").get_by_text("Road works on the bridge.").wait_for()
    settled(page)
    shot(page, "handover")
    accessible(page)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download the sheet (HTML)").click()
    text = Path(caught.value.path()).read_text()
    assert incident in text
    assert "Road works on the bridge." in text
    assert "<script" not in text


def figures(page: Any, cards: str, name: str, value: str) -> dict[str, str]:
    page.locator(cards).first.wait_for()
    found = page.locator(cards).all()
    return {card.locator(name).inner_text(): card.locator(value).inner_text() for card in found}


def test_the_tiles_count_all_calls_and_agree_with_the_handover_sheet(
    signed_in: SignedIn, platform: Platform, shot: Callable[..., None]
) -> None:
    place = {"call_time": "2024-03-14T18:25:00", "easting": 530_850, "northing": 180_950}
    mark = uuid.uuid4().hex[:8]
    rows = [{**place, "incident_id": f"T-{mark}-{number % 220}"} for number in range(230)]  # ten were asked again
    platform.ask("/v1/fire_response/predict/batch", {"rows": rows}, role=Role.DISPATCHER)
    outcome = {"incident_id": f"T-{mark}-1", "labels": {"attendance_seconds": 287}}
    platform.ask("/v1/fire_response/outcomes", outcome, role=Role.DISPATCHER)
    page = signed_in(Role.VIEWER, "en", "/board")
    page.get_by_text("The newest 200 are shown.").wait_for()
    told = platform.ask("/v1/fire_response/predictions/counts?kind=live")
    assert told["calls"] >= 220
    page.wait_for_function(
        "count => document.querySelector('.v-row .v-mid')?.innerText === String(count)", arg=told["calls"]
    )
    tiles = figures(page, ".v-row .v-card", "h3", ".v-mid")
    shot(page, "board-tiles", whole=False)
    assert list(tiles.values()) == [str(told[name]) for name in ("calls", "at_risk", "without_outcome", "overridden")]
    page.get_by_text("Handover sheet").click()
    page.locator(".v-sheet .figures").wait_for()
    sheet = [cell.inner_text().split("\n") for cell in page.locator(".v-sheet .figures > div").all()]
    assert {name: count for count, name in sheet} == tiles
    shot(page, "handover-many", whole=False)


def look_at(page: Any, title: str) -> None:
    """Another page, by the side bar."""
    page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True).click()
    page.locator("h1").filter(has_text=title).wait_for()
    settled(page)


def test_what_somebody_typed_stays_while_they_look_elsewhere(signed_in: SignedIn, platform: Platform) -> None:
    incident = call(platform)
    page = signed_in(Role.DISPATCHER, "en", "/board")
    choose(page, page.get_by_label("Risk", exact=True), "All calls")
    choose(page, page.get_by_label("Time", exact=True), "Last 7 days")
    row(page, incident).get_by_role("button", name="Outcome").click()
    form = row(page, incident).locator("[class*=st-key-outcome-]").first
    typed(page, form.get_by_label("Seconds to arrival (s)", exact=True), "287")
    page.get_by_text("Handover sheet").click()
    notes = page.get_by_label("Notes for the next shift", exact=True)
    typed(page, notes, "Pump 3 off the run")
    page.get_by_text("Latest calls").click()
    settled(page)
    page.get_by_text("Handover sheet").click()
    settled(page)
    assert notes.input_value() == "Pump 3 off the run"
    for away in ("look", "reload"):
        if away == "look":
            look_at(page, "Call")
            look_at(page, "Board")
        else:
            visit(page, page.url)
        notes.wait_for()  # the view stays too
        assert notes.input_value() == "Pump 3 off the run"
    page.get_by_text("Latest calls").click()
    settled(page)
    assert page.get_by_label("Time", exact=True).input_value() == "Last 7 days"
    if form.count() == 0:  # which row was open is the page's own matter; what was typed in it is not
        row(page, incident).get_by_role("button", name="Outcome").click()
        form.wait_for()
    assert form.get_by_label("Seconds to arrival (s)", exact=True).input_value().startswith("287")


def test_a_service_that_is_away_is_said_and_tried_again(
    signed_in: SignedIn, platform: Platform, shot: Callable[..., None], tmp_path: Path
) -> None:
    """A dashboard that looks for prediction where nobody is."""
    from tests.integration.dashboard.conftest import visit
    from tests.integration.dashboard.local_platform import dashboard_process, free_port

    port = free_port()
    environment = {
        **platform.environment,
        "VIGIE_DASHBOARD_PORT": str(port),
        "VIGIE_PREDICTION_URL": f"http://127.0.0.1:{free_port()}",
    }
    with dashboard_process(environment, tmp_path / "dashboard.log"):
        page = signed_in(Role.DISPATCHER, "fr")
        visit(page, f"http://127.0.0.1:{port}/board")
        page.get_by_text("Le service de prédiction ne répond pas").first.wait_for()
        page.get_by_role("button", name="Réessayer").first.wait_for()
        shot(page, "prediction-away", whole=False)
