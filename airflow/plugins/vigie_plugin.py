"""Tells Airflow's web server about the buttons on tasks' pages."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from vigie_orchestration.links import MlflowRunLink, ModelVersionLink


class VigiePlugin(AirflowPlugin):
    name = "vigie"
    operator_extra_links = [MlflowRunLink(), ModelVersionLink()]  # noqa: RUF012 - Airflow's own declaration
