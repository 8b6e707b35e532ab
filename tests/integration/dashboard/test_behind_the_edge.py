"""The dashboard behind the real edge: one address, the edge's security headers, and its plain page when it is down.

Needs Caddy 2.8 or newer: on the path, or named in ``VIGIE_CADDY``. Compose runs the same files and tests them there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.core.auth.principal import Role
from tests.gateways import PASSWORD
from tests.integration.dashboard.conftest import settled, visit
from tests.integration.dashboard.local_platform import CHECKOUT, NAMES, Platform, free_port, local_platform

pytestmark = pytest.mark.browser
CADDY = os.environ.get("VIGIE_CADDY") or shutil.which("caddy") or ""
EDGE = CHECKOUT / "deploy" / "edge"


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Platform]]:
    """The edge's address, and the platform behind it."""
    if not CADDY:
        pytest.skip("there is no Caddy here (2.8 or newer, or VIGIE_CADDY); Compose tests the same edge")
    home = tmp_path_factory.mktemp("edge")
    with local_platform(home / "home", [], bundles=home / "bundles", behind_edge=True) as platform:
        address = f"http://127.0.0.1:{free_port()}"
        config = home / "Caddyfile"
        config.write_text(_configuration(platform, home))
        environment = {
            **os.environ,
            "XDG_DATA_HOME": str(home),
            "VIGIE_EDGE_REGISTRY_LOGIN": "none",
            "VIGIE_EDGE_SITE": address,
        }
        with (home / "caddy.log").open("wb") as log:
            edge = subprocess.Popen(
                [CADDY, "run", "--config", str(config), "--adapter", "caddyfile"],
                env=environment,
                stdout=log,
                stderr=log,
            )
            try:
                until = time.monotonic() + 20
                while time.monotonic() < until:
                    try:
                        httpx.get(address + "/baseline/", timeout=1)
                        break
                    except httpx.HTTPError:
                        time.sleep(0.1)
                yield address, platform
            finally:
                edge.terminate()
                edge.wait(60)


def _configuration(platform: Platform, home: Path) -> str:
    """The edge's own file, with this machine's addresses for Compose's names."""
    text = (EDGE / "Caddyfile").read_text()
    (home / "baseline").mkdir()
    (home / "baseline" / "index.html").write_text("<h1>Tables</h1>")
    port = {name: getattr(platform, name).rpartition(":")[2] for name in ("gateway", "prediction", "dashboard")}
    text = re.sub(r"import replicas (\w+) \d+ .*", lambda m: f"to 127.0.0.1:{port[m.group(1)]}", text)
    text = text.replace("dashboard:8501", f"127.0.0.1:{port['dashboard']}").replace(
        "gateway:8600", f"127.0.0.1:{port['gateway']}"
    )
    text = text.replace("/srv/site", str(EDGE / "site")).replace("/srv/baseline", str(home / "baseline"))
    return re.sub(r"http://:2020 \{", f"http://127.0.0.1:{free_port()} {{", text)


def test_signing_in_and_a_reload_work_at_one_address(
    behind: tuple[str, Platform], chromium: Any, shot: Callable[..., None]
) -> None:
    address, _ = behind
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    visit(page, f"{address}/portal")
    page.get_by_label("User name").fill(NAMES[Role.VIEWER])
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Portal").first.wait_for()
    assert page.url.startswith(f"{address}/portal")
    page.reload()
    page.get_by_role("heading", name="Portal").first.wait_for()
    settled(page)
    assert refused == [], "the edge's policy lets the pages be drawn"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("User name").wait_for()
    context.close()


def test_the_edge_serves_the_tables_without_any_sign_in(behind: tuple[str, Platform]) -> None:
    answer = httpx.get(behind[0] + "/baseline/")
    assert (answer.status_code, "Tables" in answer.text) == (200, True)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_pages_of_the_dashboard_may_be_framed_by_nobody_else(behind: tuple[str, Platform]) -> None:
    answer = httpx.get(behind[0] + "/board")
    assert answer.status_code == 200
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_figures_and_calls_between_services_stay_inside(behind: tuple[str, Platform]) -> None:
    for path in ("/internal/session-tokens", "/metrics", "/_stcore/metrics", "/auth/internal/entries"):
        assert httpx.get(behind[0] + path).status_code == 404
