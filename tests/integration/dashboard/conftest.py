"""The dashboard in headless Chromium, before a real gateway and prediction.

``signed_in(role, language)`` gives a page of a browser that somebody of that role has signed in with; ``shot`` keeps a
picture where ``VIGIE_SCREENSHOTS`` names a folder; ``accessible`` asks axe. Models are kept between runs where
``VIGIE_TEST_BUNDLES`` names a folder."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from services.core.auth.principal import Role
from tests.gateways import PASSWORD
from tests.integration.dashboard.local_platform import NAMES, Platform, local_platform

CHROMIUM = os.environ.get("VIGIE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
LOCALES = {"en": "en-GB", "fr": "fr-FR"}

STATIC = re.compile(r"^http://127\.0\.0\.1:\d+/static/")
QUIET_MILLISECONDS = 250
_ASKED = count()
_FILES: dict[str, tuple[bytes, str]] = {}
"""What lies below ``/static/`` of the dashboard: the same for all processes of it."""

SignedIn = Callable[..., Any]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Where small models are kept: for the next run, or for all of pytest-xdist's processes of this one."""
    if named := os.environ.get("VIGIE_TEST_BUNDLES"):
        return Path(named)
    temporary = tmp_path_factory.getbasetemp()
    return (temporary if worker_id == "master" else temporary.parent) / "bundles"


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Iterator[Platform]:
    """One platform for all tests of a process: tests look for what they made themselves."""
    home = tmp_path_factory.mktemp("platform")
    with local_platform(home / "home", ["fire_response", "road_accidents"], bundles=bundles) as started:
        yield started


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if not CHROMIUM:
        pytest.fail("There is no Chromium: apt-get install chromium, or name one in VIGIE_CHROMIUM.")
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture
def open_page(chromium: Any, platform: Platform) -> Iterator[Callable[..., Any]]:
    """A page of a new browser without any sign-in; everything that it asks of other machines fails the test."""
    contexts: list[Any] = []
    outside: list[str] = []

    def made(language: str = "en", *, viewport: dict[str, int] | None = None) -> Any:
        context = chromium.new_context(viewport=viewport or DESK, locale=LOCALES[language])
        context.route(STATIC, _hand_over)
        context.set_default_timeout(float(os.environ.get("VIGIE_BROWSER_SECONDS", "90")) * 1_000)
        page = context.new_page()
        page.on("request", lambda request: outside.append(request.url) if _is_outside(request.url) else None)
        contexts.append(context)
        return page

    yield made
    for context in contexts:
        context.close()
    assert outside == [], "pages need nothing from other machines"


def _hand_over(route: Any) -> None:
    """The pages' own files, which they load piece by piece. Chromium drops what it is loading whenever a network
    interface of the machine comes or goes (ERR_NETWORK_CHANGED), which containers beside it do all the time; a page
    whose piece was dropped stays broken. Here the test loads them."""
    name = route.request.url.partition("/static/")[2]
    if name not in _FILES:
        answer = httpx.get(route.request.url, timeout=60)
        if answer.status_code != 200:
            route.fulfill(status=answer.status_code)
            return
        _FILES[name] = (answer.content, answer.headers.get("content-type", "application/octet-stream"))
    body, kind = _FILES[name]
    route.fulfill(body=body, content_type=kind)


@pytest.fixture
def signed_in(open_page: Callable[..., Any], platform: Platform) -> SignedIn:
    """``signed_in(role, language, path="/board")``: the page, drawn."""

    def made(
        role: Role = Role.DISPATCHER, language: str = "en", path: str = "/", *, viewport: dict[str, int] | None = None
    ) -> Any:
        page = open_page(language, viewport=viewport)
        page.context.add_cookies(session_cookies(platform, role))
        visit(page, platform.dashboard + path)
        return page

    return made


def session_cookies(platform: Platform, role: Role) -> list[dict[str, Any]]:
    """What the gateway gives a browser that signs in."""
    answer = httpx.post(
        f"{platform.gateway}/auth/session", json={"username": NAMES[role], "password": PASSWORD}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return [
        {"name": cookie.name, "value": cookie.value, "url": platform.gateway, "sameSite": "Strict"}
        for cookie in answer.cookies.jar
    ]


def visit(page: Any, address: str) -> None:
    """Open an address and wait until the page has its heading. A machine whose networks change meanwhile makes
    Chromium give up once; it is asked again."""
    for attempt in range(4):
        try:
            page.goto(address)
            page.locator("h1").first.wait_for(timeout=30_000 if attempt < 3 else 90_000)
        except Exception:
            if attempt == 3:
                raise
            time.sleep(0.5)
        else:
            settled(page)
            return


def settled(page: Any) -> None:
    """Wait until Streamlit has run the page to its end and rests: a run may ask for another, and what is pressed
    reaches the server a moment later."""
    page.wait_for_function(
        """([name, quiet]) => {
          const app = document.querySelector('[data-testid="stApp"]');
          const rests = app && app.getAttribute('data-test-script-state') === 'notRunning';
          if (!rests) { window[name] = undefined; return false; }
          window[name] ??= performance.now();
          return performance.now() - window[name] > quiet;
        }""",
        arg=[f"vigieRests{next(_ASKED)}", QUIET_MILLISECONDS],
    )


def choose(page: Any, box: Any, words: str, *, exact: bool = False) -> None:
    """One of a list's words, found by typing. What is typed while the page is drawn anew is lost: then again."""
    option = page.get_by_role("option", name=words, exact=exact).first
    for attempt in range(4):
        settled(page)
        box.click()
        box.fill(words)
        try:
            option.click(timeout=8_000 if attempt < 3 else None)
        except PlaywrightTimeoutError:
            if attempt == 3:
                raise
            box.press("Escape")
        else:
            settled(page)
            return


def typed(page: Any, box: Any, text: str, *, key: str = "Tab") -> None:
    """Fill a field and leave it. What is typed while the page is drawn anew is lost: then again."""
    for _ in range(4):
        settled(page)
        box.fill(text)
        box.press(key)
        settled(page)
        if box.input_value() == text:
            return
    raise AssertionError(f"the field does not keep {text!r}")


@pytest.fixture
def shot(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``shot(page, "board")`` keeps a picture for people to look at."""

    def taken(page: Any, name: str, *, whole: bool = True) -> None:
        folder = os.environ.get("VIGIE_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            _stretch(page, whole)
            page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=whole)

    return taken


def _stretch(page: Any, whole: bool) -> None:
    """Streamlit scrolls within the page: make the window as tall as what is in it."""
    if not whole:
        return
    tall = page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]')?.scrollHeight || 900")
    page.set_viewport_size({"width": page.viewport_size["width"], "height": max(900, min(int(tall) + 40, 4_000))})
    page.wait_for_timeout(400)


def violations(page: Any) -> list[str]:
    """What axe finds serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: " + "; ".join(str(node["html"])[:200] for node in rule["nodes"][:3])
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]


@pytest.fixture
def accessible() -> Callable[[Any], None]:
    def checked(page: Any) -> None:
        assert violations(page) == []

    return checked


def _is_outside(url: str) -> bool:
    return not re.match(r"^(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|^(data|blob|about):", url)
