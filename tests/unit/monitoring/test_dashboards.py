"""Grafana's dashboards: generated, checked in, and complete."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.generate import FOLDER, documents, main
from services.core.settings import CHECKOUT
from tests.panel_queries import metrics_of, panels, queries
from tests.prometheus_tools import program

PROVISIONING = CHECKOUT / "monitoring" / "grafana" / "provisioning"
PANELS = list(panels())


def _ids(item: tuple[str, dict[str, Any]]) -> str:
    return f"{item[0]}-{item[1]['id']}"


def test_the_dashboards_in_the_repository_are_those_that_the_code_makes() -> None:
    assert main(["--check"]) == 0, "run: .venv/bin/python -m monitoring.grafana.generate"


def test_the_five_dashboards_are_there() -> None:
    titles = {json.loads(text)["title"] for text in documents().values()}
    assert titles == {"Dispatch now", "Models", "Pipelines", "Platform", "SLO"}


def test_grafanas_own_types_read_the_dashboards_back() -> None:
    for path in FOLDER.glob("*.json"):
        text = path.read_text()
        read = Dashboard.from_json(json.loads(text))
        assert read.uid == f"vigie-{path.stem}"
        assert read.schema_version == 36, "Grafana 10.1's; later versions migrate it when they load it"
        assert json.loads(json.dumps(read, cls=JSONEncoder)) == json.loads(text)


def test_nobody_has_to_click() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "vigie.yml").read_text())["providers"]
    assert source["isDefault"]
    assert provider["options"]["path"] == f"/etc/grafana/provisioning/{FOLDER.relative_to(PROVISIONING)}"
    assert {panel["datasource"]["uid"] for _, panel in PANELS} == {source["uid"]}


@pytest.mark.parametrize("found", PANELS, ids=map(_ids, PANELS))
def test_every_panel_says_what_it_shows_and_in_which_unit(found: tuple[str, dict[str, Any]]) -> None:
    _, panel = found
    assert panel["title"]
    assert len(panel["description"]) > 20
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert all(target["legendFormat"] for target in panel["targets"])


def test_panels_do_not_lie_on_each_other() -> None:
    for path in FOLDER.glob("*.json"):
        places = [panel["gridPos"] for panel in json.loads(path.read_text())["panels"]]
        taken = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
        assert len(taken) == len(set(taken)), path.name
        assert max(x for x, _ in taken) < 24, path.name


def test_ids_are_unique_and_links_between_dashboards_lead_somewhere() -> None:
    made = [json.loads(path.read_text()) for path in FOLDER.glob("*.json")]
    known = {dashboard["uid"] for dashboard in made}
    for dashboard in made:
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids))
        assert dashboard["links"], "to its siblings"
        for panel in dashboard["panels"]:
            for link in panel.get("links", []):
                assert link["url"].startswith(("/d/", "/../")), link
                if link["url"].startswith("/d/"):
                    assert link["url"].removeprefix("/d/") in known


def test_what_panels_ask_for_by_recorded_name_is_recorded() -> None:
    rules = "\n".join(path.read_text() for path in (CHECKOUT / "monitoring" / "prometheus" / "rules").glob("*.yml"))
    recorded = set(re.findall(r"record: (\S+)", rules))
    asked = {name for query in queries() for name in query.metrics if name.startswith("vigie:")}
    assert asked <= recorded


def test_every_query_is_promql(tmp_path: Any) -> None:
    rules = [{"record": f"panel:{number}", "expr": query.expression} for number, query in enumerate(queries())]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (
            'sum by (job, le) (rate(a_b_total{code=~"5..", server="srv0"}[5m])) / on (job) group_left () c',
            {"a_b_total", "c"},
        ),
        ("1 - vigie:calls_failed:ratio_rate30d / 0.001", {"vigie:calls_failed:ratio_rate30d"}),
        ("time() - max(x_seconds > 0) or vector(0)", {"x_seconds"}),
    ],
)
def test_names_of_series_are_found_in_expressions(expression: str, names: set[str]) -> None:
    assert metrics_of(expression) == names
