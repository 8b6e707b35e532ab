"""``Platform``: whether the parts are there and have room."""

from __future__ import annotations

from monitoring.grafana.panels import BAD, GOOD, Page, Shown

UP = {"0": ("down", BAD), "1": ("up", GOOD)}

PAGE = Page(
    "vigie-platform",
    "Platform",
    "Parts, resources, queues, the database, sign-ins, and monitoring itself.",
    by_use_case=False,
    rows={
        "Parts": (
            Shown(
                "Answer Prometheus",
                "Instances of each part that can be reached.",
                "none",
                {"{{job}}": "sum by (job) (up)"},
                bounds=(0.5, 1),
                falling=True,
            ),
            Shown(
                "What others need",
                "The database, the registry and Airflow's parts, as the gateway finds them.",
                "none",
                {"{{dependency}}": "max by (dependency) (vigie_dependency_up)"},
                most=1,
                meanings=UP,
            ),
            Shown(
                "Requests by part",
                "HTTP requests a second, without health and figures.",
                "reqps",
                {"{{job}} {{status}}": "sum by (job, status) (rate(http_requests_total[$__rate_interval]))"},
            ),
            Shown(
                "Requests at the edge",
                "Everything that comes in from outside, by status.",
                "reqps",
                {
                    "{{code}}": "sum by (code) (rate(caddy_http_request_duration_seconds_count"
                    '{server="srv0", handler="subroute"}[$__rate_interval]))'
                },
                stacked=True,
            ),
            Shown(
                "How long parts take to answer",
                "99th percentile of all requests of the part.",
                "s",
                {
                    "{{job}}": "histogram_quantile(0.99, sum by (job, le)"
                    " (rate(http_request_duration_highr_seconds_bucket[$__rate_interval])))"
                },
            ),
            Shown(
                "Certificate ends in",
                "Where the edge speaks HTTPS. Caddy renews a month before; an alert follows at 14 days.",
                "s",
                {"left": "min(vigie_certificate_expiry_timestamp_seconds) - time()"},
                number=True,
                bounds=(2 * 86_400, 14 * 86_400),
                falling=True,
                least=None,
            ),
        ),
        "Resources": (
            Shown(
                "Processor time by part",
                "Processors in use by each part's process; jobs run in processes of their own.",
                "none",
                {"{{job}}": "sum by (job) (rate(process_cpu_seconds_total[$__rate_interval]))"},
                decimals=2,
            ),
            Shown(
                "Memory by part",
                "Resident memory of each part's process.",
                "bytes",
                {"{{job}}": "sum by (job) (process_resident_memory_bytes)"},
            ),
            Shown(
                "Container's memory against its limit",
                "Without the file cache; where there is no limit, against the machine's memory. At 100 % the kernel"
                " ends a process.",
                "percentunit",
                {
                    "{{job}} {{instance}}": "vigie_container_memory_working_set_bytes"
                    " / (vigie_container_memory_limit_bytes or 0 * vigie_container_memory_working_set_bytes"
                    " + on () group_left () max(vigie_host_memory_bytes))"
                },
                most=1,
                bounds=(0.75, 0.9),
            ),
            Shown(
                "Container's processor time",
                "All processes of the container, jobs included.",
                "none",
                {"{{job}} {{instance}}": "rate(vigie_container_cpu_seconds_total[$__rate_interval])"},
                decimals=2,
            ),
            Shown(
                "Disk free",
                "Share of the file system of each part's volume that is free.",
                "percentunit",
                {"{{job}}": "min by (job) (vigie_disk_free_bytes / vigie_disk_size_bytes)"},
                most=1,
                bounds=(0.05, 0.15),
                falling=True,
            ),
            Shown(
                "Open files by part",
                "File descriptors in use against those permitted.",
                "percentunit",
                {"{{job}}": "max by (job) (process_open_fds / process_max_fds)"},
                bounds=(0.6, 0.8),
            ),
            Shown(
                "The machine's processors",
                "Share of all processors' time by what it went into.",
                "percentunit",
                {
                    "{{mode}}": 'sum by (mode) (rate(vigie_host_cpu_seconds_total{mode!="idle"}[$__rate_interval]))'
                    " / ignoring (mode) group_left () sum(rate(vigie_host_cpu_seconds_total[$__rate_interval]))"
                },
                most=1,
                stacked=True,
            ),
            Shown(
                "The machine's memory",
                "What programs may still have, of all there is.",
                "bytes",
                {"available": "min(vigie_host_memory_available_bytes)", "all": "max(vigie_host_memory_bytes)"},
            ),
            Shown(
                "The machine's load",
                "Tasks that run or wait for a processor or disk, and processors.",
                "none",
                {"load": "max(vigie_host_load1)", "processors": "max(vigie_host_processors)"},
                decimals=1,
            ),
        ),
        "Queues": (
            Shown(
                "Journal of calls",
                "Answered calls that wait on disk for the database, as a share of the limit.",
                "percentunit",
                {"{{instance}}": "vigie_journal_bytes / vigie_journal_limit_bytes"},
                bounds=(0.25, 0.5),
            ),
            Shown(
                "Oldest record that waits",
                "Normally a second or two.",
                "s",
                {"{{instance}}": "vigie_journal_oldest_seconds"},
                bounds=(60, 300),
            ),
            Shown(
                "Records",
                "Written to disk, stored in the database, and lost: dropped or refused for good.",
                "wps",
                {
                    "written": "sum(rate(vigie_journal_written_total[$__rate_interval]))",
                    "stored": "sum(rate(vigie_journal_delivered_total[$__rate_interval]))",
                    "lost": "sum(rate(vigie_journal_dropped_total[$__rate_interval])"
                    " + rate(vigie_journal_dead_letters_total[$__rate_interval]))",
                },
            ),
            Shown(
                "Jobs that wait",
                "In each stage service's queue.",
                "none",
                {"{{job}}": 'sum by (job) (vigie_jobs{state="queued"})'},
                links={"Pipelines": "/d/vigie-pipelines"},
            ),
            Shown(
                "Audit entries that wait",
                "On the services' disks, for the gateway.",
                "none",
                {"{{job}}": "max by (job) (vigie_audit_entries_waiting)"},
                bounds=(1, 100),
            ),
            Shown(
                "Calls that shared a prediction",
                "Calls that arrived at the same moment: the mean of each use case.",
                "none",
                {
                    "{{use_case}}": "sum by (use_case) (vigie_calls_per_prediction_sum)"
                    " / (sum by (use_case) (vigie_calls_per_prediction_count) > 0)"
                },
                decimals=2,
            ),
        ),
        "Database": (
            Shown(
                "Size",
                "Of the platform's own database.",
                "bytes",
                {"size": "max(vigie_database_size_bytes)"},
            ),
            Shown(
                "Connections",
                "Of all databases of the server, and how many it permits.",
                "none",
                {"taken": "max(vigie_database_connections)", "permitted": "max(vigie_database_connections_limit)"},
            ),
            Shown(
                "Failures met by others",
                "Deliveries of calls and rounds of the jobs' workers that the database did not answer.",
                "none",
                {
                    "calls": "sum(increase(vigie_journal_failures_total[$__rate_interval]))",
                    "jobs": "sum(increase(vigie_job_database_failures_total[$__rate_interval]))",
                },
                bounds=(1, 10),
            ),
        ),
        "Access": (
            Shown(
                "Sign-ins",
                "By grant and how they ended; many that failed may be somebody guessing.",
                "none",
                {"{{grant}} {{outcome}}": "sum by (grant, outcome) (increase(vigie_gateway_logins_total[$__range]))"},
            ),
            Shown(
                "Credentials refused",
                "Calls of prediction without a good token or key, by reason.",
                "reqps",
                {"{{reason}}": "sum by (reason) (rate(vigie_credentials_refused_total[$__rate_interval]))"},
            ),
            Shown(
                "Age of the access list",
                "Since prediction heard from the gateway who may call. A revoked key works so much longer, at most.",
                "s",
                {"{{instance}}": "vigie_access_list_age_seconds"},
                bounds=(60, 600),
            ),
        ),
        "Monitoring itself": (
            Shown(
                "Alerts that fire",
                "By severity: page is for now, ticket for the next working day, info to know.",
                "none",
                {"{{severity}}": 'count by (severity) (ALERTS{alertstate="firing"}) or vector(0)'},
                links={"Alertmanager": "/../alertmanager/"},
            ),
            Shown(
                "Notifications",
                "Sent by Alertmanager, and failed.",
                "none",
                {
                    "{{integration}} sent": "sum by (integration)"
                    " (increase(alertmanager_notifications_total[$__range]))",
                    "{{integration}} failed": "sum by (integration)"
                    " (increase(alertmanager_notifications_failed_total[$__range]))",
                },
            ),
            Shown(
                "Series that Prometheus keeps",
                "In memory at this moment. Labels are bounded, so it grows with parts and not with calls.",
                "short",
                {"series": "sum(prometheus_tsdb_head_series)"},
                bounds=(100_000, 300_000),
            ),
        ),
    },
)
