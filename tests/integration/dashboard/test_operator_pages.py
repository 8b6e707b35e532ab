"""The pages of operators and administrators in a real browser: each for each role and language, and what is done there,
down to the services."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.core.auth.principal import Role
from services.core.jobs.client import ServiceClient
from services.core.jobs.tables import RunRow
from services.core.steps import JOBS
from services.gateway.container import GatewayContainer
from tests.integration.dashboard.conftest import SignedIn, choose, settled, typed, visit
from tests.integration.dashboard.local_platform import NAMES, Platform
from tests.integration.dashboard.operated_platform import OTHER, USE_CASE, operated_platform

pytestmark = pytest.mark.browser

HEADINGS = {
    "models": ("Models", "Modèles"),
    "data": ("Data and retraining", "Données et réentraînement"),
    "quality": ("Drift and quality", "Dérive et qualité"),
    "explore": ("Explore", "Explorer"),
    "administration": ("Administration", "Administration"),
    "portal": ("Portal", "Portail"),
}
FOR_ALL = ("quality", "explore", "portal")
OPEN_TO = {
    Role.VIEWER: FOR_ALL,
    Role.DISPATCHER: FOR_ALL,
    Role.OPERATOR: (*FOR_ALL, "models", "data"),
    Role.ADMIN: (*FOR_ALL, "models", "data", "administration"),
}
LANGUAGES = ("en", "fr")
PATIENCE = 180_000
"""Milliseconds for what a job does: a busy machine takes long to start one."""

FIRST_FIELD = "m; half of them between"
"""What is said of the first field that has a picture: the easting, in metres."""

Shot = Callable[..., None]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("operated")
    with operated_platform(home / "home", bundles=bundles) as started:
        yield started


def _address(page: str, use_case: str = USE_CASE) -> str:
    return f"/{page}?use_case={use_case}"


def _press(page: Any, name: str) -> None:
    page.set_default_timeout(PATIENCE)  # from here on: what is pressed may be a job
    page.get_by_role("button", name=name, exact=True).click()
    settled(page)


def _reason(page: Any, label: str, text: str) -> None:
    typed(page, page.get_by_label(label), text)


def _choose(page: Any, name: str) -> None:
    """One of the words beside each other."""
    page.get_by_test_id("stMain").get_by_role("radio", name=name, exact=True).click()
    settled(page)


def _says(page: Any, text: str) -> None:
    page.get_by_text(text).first.wait_for()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("role", list(Role))
def test_each_page_opens_for_its_roles_in_each_language_and_axe_finds_nothing_serious(  # noqa: PLR0917 - fixtures
    role: Role, language: str, signed_in: SignedIn, platform: Platform, accessible: Callable[[Any], None], shot: Shot
) -> None:
    page = signed_in(role, language, _address(OPEN_TO[role][0]))
    for name in OPEN_TO[role]:
        visit(page, platform.dashboard + _address(name))
        heading = HEADINGS[name][LANGUAGES.index(language)]
        page.get_by_role("heading", name=heading, exact=True).wait_for()
        assert page.locator(".v-notice.bad[role=alert]").all_inner_texts() == [], f"{name} has trouble"
        accessible(page)
        if role is Role.ADMIN:
            shot(page, f"{name}-{language}")
            page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DISPATCHER, Role.OPERATOR])
def test_a_page_that_a_role_may_not_see_is_not_there(role: Role, signed_in: SignedIn, platform: Platform) -> None:
    page = signed_in(role, "en", "/portal")
    for name in set(HEADINGS) - set(OPEN_TO[role]):
        page.goto(f"{platform.dashboard}/{name}")
        settled(page)
        assert page.get_by_role("heading", name=HEADINGS[name][0], exact=True).count() == 0


@pytest.mark.parametrize("name", list(HEADINGS))
def test_pages_can_be_read_on_a_phone(name: str, signed_in: SignedIn, shot: Shot) -> None:
    page = signed_in(Role.ADMIN, "en", _address(name), viewport={"width": 390, "height": 844})
    page.get_by_role("heading", name=HEADINGS[name][0], exact=True).wait_for()
    wide = page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollWidth")
    assert wide <= 392, "nothing makes the page wider than the phone"
    shot(page, f"phone-{name}")


# --- models -----------------------------------------------------------------------------------------


def test_an_operator_reads_why_the_gate_decided_and_is_not_offered_what_is_for_administrators(
    signed_in: SignedIn, shot: Shot
) -> None:
    page = signed_in(Role.OPERATOR, "en", _address("models"))
    _says(page, "Version 2 answers calls")
    _says(page, "The gate refused this version.")
    assert page.get_by_role("button", name="Promote version 3").count() == 0
    assert page.get_by_role("button", name="Roll back to version 1").count() == 0
    for section, said in (
        ("Metrics", "Baseline"),
        ("Plots", "Calibration: how often what is said comes true"),
        ("Model card", "Bundle"),
        ("What changed", "Metrics, each on its own test rows"),
    ):
        _choose(page, section)
        _says(page, said)
    _choose(page, "Plots")
    page.locator("img[alt*='residuals'], img[alt*='How far off']").first.wait_for()
    shot(page, "models-plots")


def test_an_administrator_promotes_after_reading_what_follows_and_rolls_back(
    signed_in: SignedIn, platform: Platform, shot: Shot
) -> None:
    page = signed_in(Role.ADMIN, "en", _address("models"))
    _press(page, "Promote version 3")
    _says(page, "Let version 3 answer calls?")
    _says(page, "The gate refused this version; you promote it past the gate.")
    shot(page, "models-promote")
    assert platform.ask(f"/admin/models/{USE_CASE}")["champion"] == 2, "nothing happens before yes"
    _reason(page, "Why (it is kept in the audit log)", "A trial")
    _press(page, "Yes: Promote version 3")
    page.get_by_text(re.compile("Version 3 answers calls now|not finished yet")).first.wait_for()
    _until_champion(platform, 3)

    visit(page, platform.dashboard + _address("models"))
    _says(page, "Version 3 answers calls")
    _press(page, "Roll back to version 2")
    _says(page, "Go back to version 2?")
    _press(page, "Yes: Roll back to version 2")
    page.get_by_text(re.compile("Version 2 answers calls again|not finished yet")).first.wait_for()
    _until_champion(platform, 2)
    entries = platform.ask("/admin/audit?action=model.promote_asked")["entries"]
    assert entries[0]["actor_name"] == NAMES[Role.ADMIN]


def _until_champion(platform: Platform, number: int) -> None:
    """The job may go on after the gateway has answered."""
    end = time.monotonic() + PATIENCE / 1_000
    while platform.ask(f"/admin/models/{USE_CASE}")["champion"] != number:
        assert time.monotonic() < end, f"version {number} does not become the champion"
        time.sleep(0.5)


def test_an_operator_freezes_promotions_and_an_administrator_lifts_that(
    signed_in: SignedIn, platform: Platform
) -> None:
    page = signed_in(Role.OPERATOR, "fr", _address("models"))
    _press(page, "Geler les promotions")
    _press(page, "Oui : Geler les promotions")
    _says(page, "Dites pourquoi, en quelques mots.")
    _reason(page, "Pourquoi (conservé dans le journal d'audit)", "Incendie majeur")
    _press(page, "Oui : Geler les promotions")
    _says(page, "Incendie majeur")
    assert platform.ask("/admin/freeze")["frozen"] is True
    assert page.get_by_role("button", name="Lever le gel").count() == 0, "that is for administrators"

    admin = signed_in(Role.ADMIN, "en", _address("models"))
    assert admin.get_by_role("button", name="Promote version 3").count() == 0
    _press(admin, "Lift the freeze")
    _says(admin, "Let promotions go on?")
    _press(admin, "Yes: Lift the freeze")
    _says(admin, "Promotions go on.")
    assert platform.ask("/admin/freeze")["frozen"] is False


def test_a_waiting_retraining_is_approved_on_the_page(signed_in: SignedIn, platform: Platform, shot: Shot) -> None:
    run = _waiting_run(platform)
    page = signed_in(Role.OPERATOR, "en", _address("models"))
    _says(page, "A retraining waits for your word (Version 3)")
    shot(page, "models-approve")
    _press(page, "Approve")
    _says(page, "Version 3 is promoted as soon as the run goes on")
    _press(page, "Yes: Approve")
    _says(page, "Approved. The promotion is under way.")
    assert platform.ask(f"/admin/retrainings/{run}")["state"] in {"running", "succeeded"}


def _waiting_run(platform: Platform) -> str:
    """A retraining whose gate has passed version 3."""
    gateway: GatewayContainer = platform.gateway_app.state.gateway
    run_id = uuid.uuid4().hex
    steps: list[dict[str, Any]] = [
        {"step": name, "service": JOBS[name].service, "state": "succeeded", "job_id": uuid.uuid4().hex}
        for name in ("preprocess", "train", "evaluate", "gate")
    ]
    steps[-1]["result"] = {"version": 3, "promote": True, "reasons": ["It is better."]}
    steps.append({"step": "promote", "service": "training", "state": "waiting"})
    with gateway.transaction() as session:
        session.add(
            RunRow(
                id=run_id,
                kind="retrain",
                use_case=USE_CASE,
                backend="stages",
                state="awaiting_approval",
                options={"require_approval": True, "source": "none"},
                requested_by=NAMES[Role.OPERATOR],
                centre="default",
                idempotency_key=run_id + run_id,
                steps=steps,
                created=datetime.now(UTC),
            )
        )
    return run_id


# --- data -------------------------------------------------------------------------------------------


def test_tables_and_refused_rows_are_shown_with_their_reasons(signed_in: SignedIn) -> None:
    page = signed_in(Role.OPERATOR, "en", _address("data"))
    _says(page, "24 rows were refused and kept aside")
    _says(page, "DateOfCall is not a date")
    page.get_by_text("The first of them, as they stand in the file").click()
    _says(page, "spoilt")


def test_a_retraining_is_started_followed_and_cancelled(signed_in: SignedIn, platform: Platform, shot: Shot) -> None:
    page = signed_in(Role.OPERATOR, "en", _address("data", OTHER))
    _says(page, "No data was ingested yet.")
    choose(page, page.get_by_label("From", exact=True), "simulator", exact=True)
    _press(page, "Start the retraining")
    _says(page, "A model is trained on simulator")
    shot(page, "data-start")
    page.set_viewport_size({"width": 1280, "height": 900})
    _press(page, "Yes: Start the retraining")
    _says(page, "Started. Its progress is below.")
    _says(page, "The newest run, step by step")
    page.get_by_role("button", name="Cancel this job").wait_for(timeout=PATIENCE)
    shot(page, "data-running")
    page.set_viewport_size({"width": 1280, "height": 900})
    _press(page, "Cancel this job")
    _says(page, "nothing of it is published")
    _press(page, "Yes: Cancel this job")
    page.get_by_text("cancelled", exact=True).first.wait_for(timeout=PATIENCE)
    runs = platform.ask(f"/admin/retrainings?use_case={OTHER}")["runs"]
    assert runs[0]["requested_by"] == NAMES[Role.OPERATOR]
    page.get_by_role("button", name="Run this job again").wait_for(timeout=PATIENCE)


# --- drift, explore, portal -------------------------------------------------------------------------


def test_the_verdict_comes_first_and_the_report_is_inside_the_page(signed_in: SignedIn, shot: Shot) -> None:
    page = signed_in(Role.VIEWER, "fr", _address("quality"))
    _says(page, "Dérive : les appels changent")
    _says(page, "Les appels viennent d'autres casernes qu'avant.")
    _says(page, "Un réentraînement a été lancé.")
    assert page.get_by_role("button", name="Examiner maintenant").count() == 0, "that is for operators"
    _choose(page, "Dérive des colonnes")
    _says(page, "dérive")
    _choose(page, "Historique")
    page.locator("canvas, svg.marks").first.wait_for()
    shot(page, "quality-history")
    page.set_viewport_size({"width": 1280, "height": 900})
    _choose(page, "Rapport complet")
    _press(page, "Afficher le rapport")
    inner = page.frame_locator("iframe").first.frame_locator("iframe")
    inner.get_by_text("Drift in 3 of 9 columns").wait_for()
    frame = page.frame_locator("iframe").first.locator("iframe")
    assert frame.get_attribute("sandbox") == "allow-scripts", "a report may do nothing in the reader's name"


def test_an_operator_starts_a_look_at_the_calls(signed_in: SignedIn, platform: Platform) -> None:
    page = signed_in(Role.OPERATOR, "en", _address("quality"))
    _press(page, "Look now")
    _says(page, "It takes up to some minutes.")
    _press(page, "Yes: Look now")
    _says(page, "The look has begun.")
    steps = [job["step"] for job in platform.ask(f"/admin/jobs?use_case={USE_CASE}")["jobs"]]
    assert "monitor" in steps


def test_the_training_data_is_shown_from_every_side(signed_in: SignedIn, shot: Shot) -> None:
    page = signed_in(Role.VIEWER, "en", _address("explore"))
    for section, said in (
        ("What is predicted", "Mean, 95 % interval"),
        ("What callers say", FIRST_FIELD),
        ("What is missing", "%"),
        ("Where", "examples that say where"),
        ("From file to answer", "Register and compare with the champion"),
    ):
        _choose(page, section)
        _says(page, said)
        shot(page, f"explore-{section.split()[-1].lower()}")
        page.set_viewport_size({"width": 1280, "height": 900})


def test_what_does_not_answer_is_said_in_plain_words_and_the_rest_goes_on(
    signed_in: SignedIn, platform: Platform, monkeypatch: pytest.MonkeyPatch, shot: Shot
) -> None:
    stages = platform.gateway_app.state.runner.stages
    for name in ("preprocessing", "drift"):
        monkeypatch.setitem(stages._services, name, ServiceClient(name, "http://127.0.0.1:9"))
    page = signed_in(Role.OPERATOR, "en", _address("explore"))
    _says(page, "A part of the platform does not answer")
    page.get_by_role("button", name="Try again").wait_for()
    shot(page, "explore-error")
    visit(page, platform.dashboard + _address("quality"))
    _says(page, "Monitoring does not answer")
    visit(page, platform.dashboard + _address("data"))
    _says(page, "Preprocessing does not answer")
    _says(page, "incidents")


def test_a_use_case_without_data_or_model_says_what_to_do(signed_in: SignedIn, platform: Platform) -> None:
    page = signed_in(Role.OPERATOR, "en", _address("models", "rain_tomorrow"))
    _says(page, "There is no model yet.")
    visit(page, platform.dashboard + _address("explore", "rain_tomorrow"))
    _says(page, "There are no training examples yet.")
    visit(page, platform.dashboard + _address("quality", "rain_tomorrow"))
    _says(page, "Nobody has looked at the calls yet.")


# --- administration ---------------------------------------------------------------------------------


def test_an_administrator_adds_a_user_whose_password_is_shown_once(
    signed_in: SignedIn, platform: Platform, shot: Shot
) -> None:
    page = signed_in(Role.ADMIN, "en", "/administration")
    typed(page, page.get_by_role("textbox", name="User name"), "new.person")
    _press(page, "Add")
    _says(page, "Shown this once")
    shot(page, "administration-secret")
    page.set_viewport_size({"width": 1280, "height": 900})
    secret = page.get_by_test_id("stCode").inner_text().strip()
    assert len(secret) >= 20
    _press(page, "I have noted it")
    page.get_by_text(secret).first.wait_for(state="detached")
    assert secret not in page.content()
    assert "new.person" in {user["name"] for user in platform.ask("/admin/users")}


def test_a_key_is_made_shown_once_and_revoked(signed_in: SignedIn, platform: Platform) -> None:
    page = signed_in(Role.ADMIN, "en", "/administration")
    _choose(page, "API keys")
    typed(page, page.get_by_role("textbox", name="What it is for"), "Trial desk")
    _press(page, "Make a key")
    _says(page, "Shown this once")
    assert page.get_by_test_id("stCode").inner_text().strip().startswith("vig_")
    _press(page, "I have noted it")
    _press(page, "Revoke Trial desk")
    _says(page, "Within seconds every call with this key is refused, for good.")
    _press(page, "Yes: Revoke Trial desk")
    _says(page, "Trial desk was revoked.")
    (key,) = [key for key in platform.ask("/admin/keys") if key["name"] == "Trial desk"]
    assert key["revoked_at"]


def test_the_audit_log_is_filtered_and_verified(signed_in: SignedIn, shot: Shot) -> None:
    page = signed_in(Role.ADMIN, "en", "/administration")
    _choose(page, "Audit log")
    typed(page, page.get_by_role("textbox", name="What (such as login.*)"), "nothing.*", key="Enter")
    _says(page, "No entry matches.")
    typed(page, page.get_by_role("textbox", name="What (such as login.*)"), "user.*", key="Enter")
    _says(page, "user.created")
    _press(page, "Verify the log")
    _says(page, "The log is intact")
    shot(page, "administration-audit")


def test_retention_is_told_for_every_use_case(signed_in: SignedIn) -> None:
    page = signed_in(Role.ADMIN, "en", "/administration")
    _choose(page, "Retention")
    _says(page, "365 days")
    _says(page, "London Fire Brigade: response")
