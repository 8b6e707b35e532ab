"""How long a page of the dashboard takes in a browser until its first heading stands there, and until it is drawn to
its end: medians and worst, with 100,000 stored predictions. ``new`` is a browser with an empty cache, ``again`` the
same browser a second time.

    python -m benchmarks.dashboard_pages [FOLDER]

Models that lie in FOLDER are used again. Needs Chromium (``VIGIE_CHROMIUM``)."""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from playwright.sync_api import TimeoutError, sync_playwright  # noqa: A004 - Playwright's own

from benchmarks.dashboard_people import fill
from services.core.auth.principal import Role
from services.dashboard.pages import PAGES, PageEntry
from tests.integration.dashboard.conftest import CHROMIUM, DESK, session_cookies
from tests.integration.dashboard.local_platform import Platform
from tests.integration.dashboard.operated_platform import USE_CASE, operated_platform

REPEATS, PREDICTIONS = 3, 100_000
DRAWN = (
    "() => document.querySelector('[data-testid=\"stApp\"]').getAttribute('data-test-script-state') === 'notRunning'"
)


def opened(page: Any, address: str) -> tuple[float, float]:
    """Seconds until the first heading, and until all is drawn. A page that never comes is loaded again: Chromium drops
    what it loads when a network interface of the machine comes or goes."""
    for _ in range(3):
        try:
            return _opened(page, address)
        except TimeoutError:
            sys.stderr.write(f"loaded again: {address}\n")
    return _opened(page, address)


def _opened(page: Any, address: str) -> tuple[float, float]:
    began = time.perf_counter()
    page.goto(address)
    page.locator("h1").first.wait_for()
    heading = time.perf_counter() - began
    page.wait_for_function(DRAWN)
    return heading, time.perf_counter() - began


def measure(browser: Any, platform: Platform, pages: Sequence[PageEntry] = PAGES) -> None:
    sys.stdout.write(f"{'page':<16}{'heading, new':>18}{'drawn, new':>18}{'heading, again':>18}{'drawn, again':>18}\n")
    for entry in pages:
        address = f"{platform.dashboard}/{entry.path}?use_case={USE_CASE}"
        taken: list[tuple[float, ...]] = []
        for _ in range(REPEATS):
            context = browser.new_context(viewport=DESK, locale="en-GB")
            context.set_default_timeout(25_000)
            context.add_cookies(session_cookies(platform, Role.ADMIN))
            page = context.new_page()
            taken.append((*opened(page, address), *opened(page, address)))
            context.close()
        figures = "".join(
            f"{statistics.median(column):>9.1f} s ({max(column):4.1f})" for column in zip(*taken, strict=True)
        )
        sys.stdout.write(f"{entry.path:<16}{figures}\n")


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        bundles = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else home / "bundles"
        with operated_platform(home / "home", bundles=bundles) as platform, sync_playwright() as play:
            fill(home / "home", PREDICTIONS)
            browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
            measure(browser, platform)
            browser.close()


if __name__ == "__main__":
    main()
