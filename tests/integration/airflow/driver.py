"""Runs in a process of its own: makes a database, reads the DAGs, runs some of them and prints what came of it.

Airflow changes logging, environment and database of the process that initialises it; the tests' own stays clean."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
DAGS = ROOT / "airflow" / "dags"
HEAVY = ("numpy", "pandas", "sklearn", "xgboost", "mlflow", "onnxruntime", "pyarrow", "scipy")


def main(runs: dict[str, list[Any]]) -> dict[str, Any]:
    from vigie_orchestration import trigger_delay
    from vigie_orchestration.environment import airflow_environment
    from vigie_orchestration.settings import AirflowSettings

    trigger_delay.SETTLE_SECONDS = 0.0  # dag.test() has no executor to wait for
    os.environ.update(airflow_environment(AirflowSettings()))
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS, include_examples=False)
    told: dict[str, Any] = {
        "errors": bag.import_errors,
        "heavy": [name for name in HEAVY if name in sys.modules],
        "dags": {dag.dag_id: facts(dag) for dag in bag.dags.values()},
        "runs": {},
    }
    from airflow.sdk.execution_time import supervisor
    from airflow.utils.db import initdb

    initdb()
    # dag.test() builds the whole API anew for each task, three seconds each
    supervisor.in_process_api_server = cache(supervisor.in_process_api_server)
    for name, (dag_id, conf) in runs.items():
        # read anew, because a run leaves its rendered templates in the DAG's tasks
        dag = DagBag(DAGS, include_examples=False).dags[dag_id]
        run = dag.test(run_conf=conf)
        states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
        told["runs"][name] = {"state": str(run.state), "tasks": states}
    return told


def facts(dag: Any) -> dict[str, Any]:
    from airflow.serialization.serialized_objects import DagSerialization

    DagSerialization.to_dict(dag)  # what the scheduler and the web server read
    followed = dag.timetable.asset_condition
    return {
        "title": dag.dag_display_name,
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "owner": dag.owner,
        "schedule": dag.timetable.__class__.__name__,
        "catchup": dag.catchup,
        "graph": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
        "titles": {task.task_id: task.task_display_name for task in dag.tasks},
        "task_docs": {task.task_id: task.doc_md or "" for task in dag.tasks},
        "outlets": {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.outlets},
        "follows": sorted(asset.name for asset in getattr(followed, "objects", ())),
        "params": {
            name: {"default": param.value, "description": param.description, **param.schema}
            for name, param in ((name, dag.params.get_param(name)) for name in dag.params)
        },
        "jobs": {
            task.task_id: [task.service, task.step, task.use_case] for task in dag.tasks if hasattr(task, "service")
        },
    }


if __name__ == "__main__":
    done = main(json.loads(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(done, default=str))
