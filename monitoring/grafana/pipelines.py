"""``Pipelines``: jobs and the data that they make."""

from __future__ import annotations

from monitoring.grafana.panels import USE_CASES, Page, Shown

PAGE = Page(
    "vigie-pipelines",
    "Pipelines",
    "What the stage services do, how long it takes, and the data that models are made from.",
    since="now-24h",
    rows={
        "Jobs": (
            Shown(
                "Jobs that wait and run",
                "Jobs of one use case take turns; different ones run side by side.",
                "none",
                {"{{job}} {{state}}": "sum by (job, state) (vigie_jobs)"},
            ),
            Shown(
                "Jobs that ended",
                "By how they ended, within the range that is shown.",
                "none",
                {
                    "{{step}} {{state}}": "sum by (step, state) (increase(vigie_jobs_ended_total"
                    f"{{{USE_CASES}}}[$__range]))"
                },
                links={"Airflow": "/../airflow/"},
            ),
            Shown(
                "Failed jobs",
                "Failed or interrupted within the range. Each is an alert too.",
                "none",
                {
                    "failed": 'sum(increase(vigie_jobs_ended_total{state=~"failed|interrupted",'
                    f" {USE_CASES}}}[$__range]))"
                },
                number=True,
                bounds=(1, 3),
                decimals=0,
            ),
            Shown(
                "How long jobs take",
                "Mean duration by step since the services started.",
                "s",
                {
                    "{{use_case}} {{step}}": f"sum by (use_case, step) (vigie_job_seconds_sum{{{USE_CASES}}})"
                    f" / (sum by (use_case, step) (vigie_job_seconds_count{{{USE_CASES}}}) > 0)"
                },
            ),
            Shown(
                "Memory of the last job",
                "At its peak. VIGIE_JOB_MEMORY_MB is the limit.",
                "bytes",
                {"{{use_case}} {{step}}": f"max by (use_case, step) (vigie_job_peak_memory_bytes{{{USE_CASES}}})"},
            ),
            Shown(
                "Since the last success",
                "How long ago a job of each step last succeeded.",
                "s",
                {
                    "{{use_case}} {{step}}": "time() - max by (use_case, step)"
                    f" (vigie_job_last_success_timestamp_seconds{{{USE_CASES}}})"
                },
            ),
        ),
        "Data": (
            Shown(
                "Rows ingested",
                "Rows of the published tables.",
                "short",
                {"{{use_case}} {{table}}": f"max by (use_case, table) (vigie_ingested_rows{{{USE_CASES}}})"},
            ),
            Shown(
                "Rows in quarantine",
                "Raw rows that were not let in, with their reasons on the dashboard's page Data and retraining.",
                "short",
                {"{{use_case}}": f"max by (use_case) (vigie_quarantined_rows{{{USE_CASES}}})"},
            ),
            Shown(
                "Age of the data",
                "Since a run last published.",
                "s",
                {"{{use_case}}": f"time() - max by (use_case) (vigie_data_published_timestamp_seconds{{{USE_CASES}}})"},
            ),
        ),
        "Runs": (
            Shown(
                "Airflow's runs",
                "Queued and running now; succeeded and failed within the last day.",
                "none",
                {"{{state}}": "max by (state) (vigie_airflow_dag_runs)"},
                width=12,
                links={"Airflow": "/../airflow/"},
            ),
            Shown(
                "Waiting for a person",
                "Retrainings that wait for somebody's approval.",
                "none",
                {"waiting": "max(vigie_gateway_runs_awaiting_approval)"},
                width=12,
                bounds=(1, 5),
            ),
        ),
    },
)
