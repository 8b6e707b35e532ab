"""The page Call, as a dispatcher uses it."""

from __future__ import annotations

import csv
import io
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.core import use_case_registry
from services.core.auth.principal import Role
from services.dashboard.components.use_cases import fields_of
from tests.integration.dashboard.conftest import PHONE, SignedIn, choose, settled, typed, visit
from tests.integration.dashboard.local_platform import Platform, dashboard_process, free_port
from tests.servers import running

pytestmark = pytest.mark.browser
SAID = {
    "en": {"place": "Go to a known place", "ask": "Answer", "drivers": "What drove the answer"},
    "fr": {"place": "Aller à un lieu connu", "ask": "Répondre", "drivers": "Ce qui a pesé sur la réponse"},
}


def known_place(page: Any, language: str = "en") -> None:
    choose(page, page.get_by_label(SAID[language]["place"], exact=True), "Alder Bridge")


def ask(page: Any, language: str = "en") -> None:
    page.get_by_role("button", name=SAID[language]["ask"], exact=True).click()
    page.locator(".v-big").first.wait_for()
    settled(page)


def fill_required(page: Any, use_case: str) -> None:
    """What has to be known at least: the first word of categories, yes for flags."""
    for field in fields_of(use_case_registry.get(use_case).serving.request).values():
        if field.required and field.kind == "category":
            page.get_by_label(f"{field.title.en} *", exact=True).click()
            page.get_by_role("option").first.click()
        elif field.required and field.kind == "flag":
            page.get_by_role("radio", name="yes").first.click()
        settled(page)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_call_is_answered_at_a_glance_in_both_languages(
    signed_in: SignedIn, shot: Callable[..., None], accessible: Callable[[Any], None], language: str
) -> None:
    page = signed_in(Role.DISPATCHER, language, "/call")
    known_place(page, language)
    ask(page, language)
    page.get_by_text("CHAMPION", exact=True).wait_for()
    page.get_by_text({"en": "SIMULATED DATA", "fr": "DONNÉES SIMULÉES"}[language], exact=True).wait_for()
    page.get_by_text(
        {"en": "Do not rely on this answer", "fr": "Ne vous fiez pas à cette réponse"}[language]
    ).wait_for()
    page.get_by_role("heading", name=SAID[language]["drivers"]).wait_for()
    assert page.locator(".v-scale .mark").count() == 1, "the bar is held against the objective"
    unit = {"en": "360 s", "fr": "360\u202fs"}[language]
    assert unit in page.locator(".v-scale").get_attribute("aria-label")
    shot(page, f"call-{language}")
    accessible(page)


def test_a_click_on_the_map_gives_the_place(signed_in: SignedIn) -> None:
    page = signed_in(Role.DISPATCHER, "en", "/call")
    chart = page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.wait_for_function("() => document.querySelector('input[aria-label=\"Easting (m)\"]').value !== ''")
    assert 503_000 < float(page.get_by_label("Easting (m)", exact=True).input_value()) < 562_000


def test_what_is_wrong_is_said_while_one_types(signed_in: SignedIn) -> None:
    page = signed_in(Role.DISPATCHER, "en", "/call")
    place = page.get_by_text("a place is needed").first
    place.wait_for()
    pumps = page.get_by_label("Pumps already out", exact=True)
    typed(page, pumps, "900")
    page.locator(".v-fault").get_by_text("Allowed: 0 – 500.").wait_for()
    typed(page, pumps, "9")
    page.locator(".v-fault").wait_for(state="detached")
    place.wait_for()


def test_two_stations_are_compared_side_by_side(signed_in: SignedIn, shot: Callable[..., None]) -> None:
    page = signed_in(Role.DISPATCHER, "en", "/call")
    known_place(page)
    page.get_by_text("Compare two variants of this call").click()
    settled(page)
    choose(page, page.get_by_label("Deployed from station", exact=True).last, "Alder Park")
    ask(page)
    page.get_by_role("heading", name="B: Alder Park").wait_for()
    assert page.locator(".v-scale").count() == 2
    shot(page, "call-compare")


def test_a_use_case_with_other_targets_needs_no_page_of_its_own(
    signed_in: SignedIn, platform: Platform, shot: Callable[..., None]
) -> None:
    page = signed_in(Role.DISPATCHER, "en", "/call?use_case=road_accidents")
    page.get_by_text("No answer yet").wait_for()
    fill_required(page, "road_accidents")
    ask(page)
    page.get_by_text("Proposed response").wait_for()
    shot(page, "call-road")


def test_a_model_that_is_not_there_is_said_first(signed_in: SignedIn, shot: Callable[..., None]) -> None:
    page = signed_in(Role.DISPATCHER, "en", "/call?use_case=rain_tomorrow")
    page.get_by_text("No answer yet").wait_for()
    fill_required(page, "rain_tomorrow")
    ask(page)
    page.get_by_text("BASELINE", exact=True).wait_for()
    page.get_by_text("No model is in service").wait_for()
    shot(page, "call-baseline")


def test_many_calls_from_a_file_with_its_faults_and_the_answers_to_take_away(
    signed_in: SignedIn, tmp_path: Path, shot: Callable[..., None], accessible: Callable[[Any], None]
) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["call_time", "Easting", "northing", "Kind of incident", "pump_order", "=extra"])
    for number in range(12):
        sheet.append([f"2024-03-14T{8 + number:02d}:25:00", 530_850 + 100 * number, 180_950, "Fire", 1, "x"])
    sheet.append(["2024-03-14T18:25:00", 530_850, 180_950, "Flood", 1, "x"])
    sheet.append(["2024-03-14T18:25:00", 30, 180_950, "Fire", 99, "x"])
    book.save(tmp_path / "calls.xlsx")
    page = signed_in(Role.DISPATCHER, "en", "/call")
    page.get_by_text("Many calls from a file").click()
    settled(page)
    page.locator("input[type=file]").set_input_files(tmp_path / "calls.xlsx")
    page.get_by_text("12 calls can be answered").wait_for()
    page.get_by_text("Lines with faults, left out: 2").first.wait_for()
    page.get_by_text("Not one of the allowed words.").wait_for()
    page.get_by_role("button", name="Answer 12 calls").click()
    page.get_by_text("12 calls were answered").wait_for()
    settled(page)
    shot(page, "call-batch")
    accessible(page)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download the answers (CSV)").click()
    lines = Path(caught.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 13
    assert "attendance_seconds.median" in lines[0]


def breaking(platform: Platform, part: int) -> FastAPI:
    """Prediction behind a line that loses the answer to one part of a batch, after prediction has had it."""
    seen = itertools.count(1)

    async def passed_on(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.request(
                request.method, f"{platform.prediction}{request.url.path}", params=request.query_params,
                content=await request.body(), headers=headers,
            )  # fmt: skip
        lost = request.url.path.endswith("/batch") and next(seen) == part
        kind = answer.headers.get("content-type")
        return Response(status_code=503) if lost else Response(answer.content, answer.status_code, media_type=kind)

    app = FastAPI(openapi_url=None)
    app.add_route("/{path:path}", passed_on, methods=["GET", "POST"])
    return app


def test_a_batch_that_breaks_off_keeps_its_answers_goes_on_and_counts_once(
    signed_in: SignedIn, platform: Platform, tmp_path: Path, shot: Callable[..., None]
) -> None:
    rows = [
        f"B-{number},2026-11-27T08:{number // 60:02d}:{number % 60:02d},{525_000 + number},180950"
        for number in range(600)
    ]
    file = tmp_path / "calls.csv"
    file.write_text("Incident id,call_time,easting,northing\n\n" + "\n".join(rows) + "\n")
    line, port = free_port(), free_port()
    environment = {
        **platform.environment,
        "VIGIE_DASHBOARD_PORT": str(port),
        "VIGIE_PREDICTION_URL": f"http://127.0.0.1:{line}",
    }
    with running(breaking(platform, 2), line), dashboard_process(environment, tmp_path / "dashboard.log"):
        page = signed_in(Role.DISPATCHER, "en", "/call")
        visit(page, f"http://127.0.0.1:{port}/call")
        page.get_by_text("Many calls from a file").click()
        settled(page)
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_role("button", name="Answer 600 calls").click()
        page.get_by_text("250 of 600 calls were answered").wait_for()
        shot(page, "call-batch-broken-off")
        assert len(downloaded(page)) == 251
        page.get_by_test_id("stSidebarNav").get_by_text("Board", exact=True).click()
        page.get_by_text("Handover sheet").wait_for()
        page.get_by_test_id("stSidebarNav").get_by_text("Call", exact=True).click()
        page.get_by_text("calls.csv is still here").wait_for()
        page.get_by_role("button", name="Go on: answer 350 more calls").click()
        page.get_by_text("600 calls were answered").wait_for()
        settled(page)
        shot(page, "call-batch-gone-on")
        lines = downloaded(page)
    assert [line.split(",")[:2] for line in (lines[1], lines[-1])] == [["3", "B-0"], ["602", "B-599"]]
    assert lines[0].startswith("line,incident_id,")
    assert recorded(platform, "B-") == 600, "the part whose answer was lost counts once"


def downloaded(page: Any) -> list[str]:
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download the answers (CSV)").click()
    return Path(caught.value.path()).read_text(encoding="utf-8-sig").splitlines()


def recorded(platform: Platform, incidents: str) -> int:
    """Recorded calls whose incident number begins so, once the log has been delivered."""
    headers = {"Authorization": f"Bearer {platform.token(Role.DISPATCHER)}", "Accept": "text/csv"}
    counts: list[int] = []
    while len(counts) < 3 or len(set(counts[-3:])) > 1:
        answer = httpx.get(f"{platform.prediction}/v1/fire_response/predictions", headers=headers, timeout=60)
        found = list(csv.DictReader(io.StringIO(answer.text)))
        counts.append(sum(row["incident_id"].startswith(incidents) for row in found))
        time.sleep(0.3)
    return counts[-1]


def test_a_viewer_has_no_page_call(signed_in: SignedIn, platform: Platform) -> None:
    page = signed_in(Role.VIEWER, "en", "/board")
    assert page.get_by_test_id("stSidebarNav").get_by_text("Call", exact=True).count() == 0


def test_exercise_mode_cannot_be_missed_and_marks_what_is_sent(
    signed_in: SignedIn, platform: Platform, shot: Callable[..., None]
) -> None:
    page = signed_in(Role.OPERATOR, "en", "/call")
    page.get_by_test_id("stSidebar").get_by_text("Exercise mode").click()
    page.get_by_text("This is not a real call.").wait_for()
    known_place(page)
    ask(page)
    assert page.locator(".v-tag.exercise").count() >= 1
    shot(page, "call-exercise")
    listed = platform.ask("/v1/fire_response/predictions?kind=exercise&limit=1")
    assert listed["predictions"][0]["kind"] == "exercise"
    page.reload()
    page.get_by_text("This is not a real call.").wait_for()


def test_a_dispatcher_is_offered_no_exercise_mode_unless_it_is_switched_on(signed_in: SignedIn) -> None:
    page = signed_in(Role.DISPATCHER, "en", "/call")
    assert page.get_by_text("Exercise mode").count() == 0


def test_a_phone_is_wide_enough(signed_in: SignedIn, shot: Callable[..., None]) -> None:
    page = signed_in(Role.DISPATCHER, "en", "/call", viewport=PHONE)
    known_place(page)
    ask(page)
    wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    shot(page, "call-phone")
    assert wide <= PHONE["width"] + 2
