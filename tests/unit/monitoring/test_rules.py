"""Alert and recording rules: Prometheus's own test runner says that each fires and stays quiet when it should."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.core.settings import CHECKOUT
from tests.prometheus_tools import program

PROMETHEUS = CHECKOUT / "monitoring" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
SEVERITIES = {"page", "ticket", "info"}


def rules() -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDS = {rule["record"] for rule in rules() if "record" in rule}


CASES: list[dict[str, Any]] = [case for path in TESTS for case in yaml.safe_load(path.read_text())["tests"]]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_rule_does_what_its_tests_say(path: Path) -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "config", "--lint-fatal", str(PROMETHEUS / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_seen_firing_and_seen_quiet(alert: str) -> None:
    fires = [
        bool(t["exp_alerts"]) for case in CASES for t in case.get("alert_rule_test", []) if t["alertname"] == alert
    ]
    assert True in fires, f"no test sees {alert} fire"
    assert False in fires, f"no test sees {alert} stay quiet"


@pytest.mark.parametrize("record", sorted(RECORDS))
def test_every_recorded_series_is_computed_in_a_test(record: str) -> None:
    tried = [t for case in CASES for t in case.get("promql_expr_test", []) if record in t["expr"] and t["exp_samples"]]
    assert tried


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_tells_people_what_it_is_in_both_languages_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["labels"]["family"]
    assert {"summary", "summary_fr", "runbook"} == rule["annotations"].keys()
    page = CHECKOUT / rule["annotations"]["runbook"]
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()
    assert page == CHECKOUT / "docs" / "runbooks" / f"{name}.md"
    text = page.read_text()
    assert f"`{alert}`" in text
    assert "## What it means" in text
    assert "## What to do first\n\n1. " in text


def test_no_runbook_is_left_over() -> None:
    named = {Path(rule["annotations"]["runbook"]).name for rule in ALERTS.values()}
    assert {path.name for path in (CHECKOUT / "docs" / "runbooks").glob("*.md")} - {"README.md"} == named


def test_the_runbooks_index_names_every_alert_with_its_severity() -> None:
    index = (CHECKOUT / "docs" / "runbooks" / "README.md").read_text()
    listed = set(re.findall(r"^\| \[(\w+)\]\([a-z-]+\.md\) \| (\w+) \|", index, flags=re.MULTILINE))
    assert listed == {(alert, rule["labels"]["severity"]) for alert, rule in ALERTS.items()}


def test_log_messages_that_runbooks_look_for_are_written_somewhere() -> None:
    sources = "\n".join(path.read_text() for path in (CHECKOUT / "services").rglob("*.py"))
    for page in (CHECKOUT / "docs" / "runbooks").glob("*.md"):
        text = " ".join(page.read_text().split())
        for command in re.findall(
            r"`(docker compose logs [^`]*?(?:ingestion|prediction|training|drift|gateway)[^`]*)`", text
        ):
            for pattern in re.findall(r"grep (?:-E )?'([^']+)'", command):
                for said in pattern.split("|"):
                    plain = said.replace('"level": "error"', "level")
                    assert plain in sources or plain in {"failed", "database"}, f"{page.name}: nothing logs {said!r}"


def test_links_between_runbooks_and_documents_lead_somewhere() -> None:
    for page in (CHECKOUT / "docs" / "runbooks").glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
