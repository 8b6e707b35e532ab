"""The DAGs as docs/airflow.md describes them, read and run by a process of Airflow."""

from __future__ import annotations

import re
from typing import Any

import pytest

from services.core import use_case_registry
from services.core.settings import CHECKOUT
from services.core.steps import STEPS

RETRAIN = {
    "ingest": ["preprocess"],
    "preprocess": ["train"],
    "train": ["evaluate"],
    "evaluate": ["gate"],
    "gate": ["allowed"],
    "allowed": ["approve", "promote"],
    "approve": ["promote"],
    "promote": [],
}
GRAPHS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "ingest_toy": ("CronTriggerTimetable", {"ingest": ["announce"], "announce": []}),
    "retrain_toy": ("AssetOrTimeSchedule", RETRAIN),
    "rollback_toy": ("NullTimetable", {"rollback": []}),
    "housekeeping": ("CronTriggerTimetable", {"housekeeping": ["airflow_history"], "airflow_history": []}),
}
TYPED = {
    "ingest_toy": {"source": "string", "fresh": "boolean", "confirm": "string"},
    "retrain_toy": {"source": "string", "force": "boolean", "require_approval": "boolean"},
    "rollback_toy": {"reason": "string"},
    "housekeeping": {"dry_run": "boolean", "keep_days": "integer"},
}


def test_every_dag_imports_and_a_broken_use_case_stands_among_the_import_errors(airflow: dict[str, Any]) -> None:
    ((file, error),) = airflow["errors"].items()
    assert file.endswith("skipped_use_cases.py")
    assert "there_is_no_such_package" in error


def test_there_is_one_dag_of_each_kind_for_every_use_case(airflow: dict[str, Any]) -> None:
    names = {*use_case_registry.names(), "toy"}
    expected = {f"{kind}_{name}" for kind in ("ingest", "retrain", "monitor", "rollback") for name in names}
    assert set(airflow["dags"]) == expected | {"housekeeping"}


def test_reading_the_dags_imports_no_machine_learning_library(airflow: dict[str, Any]) -> None:
    assert airflow["heavy"] == []


@pytest.mark.parametrize("dag_id", GRAPHS)
def test_the_graph_is_as_documented(airflow: dict[str, Any], dag_id: str) -> None:
    schedule, graph = GRAPHS[dag_id]
    dag = airflow["dags"][dag_id]
    assert (dag["schedule"], dag["graph"], dag["catchup"]) == (schedule, graph, False)


def test_the_documentation_shows_the_same_graph() -> None:
    text = (CHECKOUT / "docs" / "airflow.md").read_text()
    (row,) = re.findall(r"^\| `retrain_<use case>` \|.*$", text, flags=re.MULTILINE)
    assert [name for name in re.findall(r"`(\w+)`", row) if name in RETRAIN] == list(RETRAIN)


def test_a_retraining_has_every_step_in_the_one_order_at_the_service_that_does_it(airflow: dict[str, Any]) -> None:
    jobs = airflow["dags"]["retrain_toy"]["jobs"]
    assert jobs == {step.name: [step.service, step.name, "toy"] for step in STEPS}


@pytest.mark.parametrize("dag_id", TYPED)
def test_every_param_has_a_type_a_title_and_a_description(airflow: dict[str, Any], dag_id: str) -> None:
    params = airflow["dags"][dag_id]["params"]
    assert {name: param["type"] for name, param in params.items()} == TYPED[dag_id]
    assert all(param["title"] and param["description"] for param in params.values())


def test_days_to_keep_have_bounds(airflow: dict[str, Any]) -> None:
    keep = airflow["dags"]["housekeeping"]["params"]["keep_days"]
    assert (keep["minimum"], keep["maximum"]) == (1, 3650)


def test_retraining_follows_the_assets_of_new_data_and_of_drift(airflow: dict[str, Any]) -> None:
    assert airflow["dags"]["ingest_toy"]["outlets"] == {"announce": ["raw_data_toy"]}
    assert airflow["dags"]["retrain_toy"]["follows"] == ["drift_signal_toy", "raw_data_toy"]


def test_a_person_finds_names_docs_tags_and_an_owner(airflow: dict[str, Any]) -> None:
    dag = airflow["dags"]["retrain_toy"]
    assert dag["title"] == "Retrain: Deliveries"
    assert dag["tags"] == ["retrain", "toy", "vigie"]
    assert dag["owner"] == "vigie"
    assert dag["titles"]["gate"] == "Register and compare with the champion"
    assert all(dag["task_docs"].values())


@pytest.mark.parametrize("dag_id", GRAPHS)
def test_the_page_says_when_it_runs_and_what_to_do_about_a_failure(airflow: dict[str, Any], dag_id: str) -> None:
    doc = airflow["dags"][dag_id]["doc"]
    assert "**When:**" in doc
    assert "**When it fails:**" in doc


def test_a_passed_gate_leads_to_a_promotion(airflow: dict[str, Any]) -> None:
    run = airflow["runs"]["promoted"]
    skipped = {task for task, state in run["tasks"].items() if state == "skipped"}
    assert (run["state"], skipped) == ("success", {"approve"})


def test_what_a_person_chose_reaches_the_jobs(airflow: dict[str, Any]) -> None:
    assert ("ingest", {"source": "simulator", "fresh": False}) in airflow["jobs"]
    assert ("gate", {"force": True}) in airflow["jobs"]


def test_what_is_promoted_is_the_version_that_the_gate_judged(airflow: dict[str, Any]) -> None:
    assert ("promote", {"approved": 3}) in airflow["jobs"]


def test_a_refused_gate_ends_in_a_skipped_promotion_and_says_why(airflow: dict[str, Any]) -> None:
    run = airflow["runs"]["refused"]
    assert (run["state"], run["tasks"]["promote"], run["tasks"]["approve"]) == ("success", "skipped", "skipped")
    assert "The champion stays" in airflow["log"]
    assert "Worse by 3 s." in airflow["log"]


def test_a_retraining_without_a_source_starts_with_the_data_that_is_there(airflow: dict[str, Any]) -> None:
    assert airflow["runs"]["refused"]["tasks"]["ingest"] == "skipped"


def test_unchanged_data_updates_no_asset(airflow: dict[str, Any]) -> None:
    assert airflow["runs"]["quiet day"] == {"state": "success", "tasks": {"ingest": "success", "announce": "skipped"}}
