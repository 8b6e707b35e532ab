"""``Dispatch now``: what dispatchers get at this moment."""

from __future__ import annotations

from monitoring.grafana.panels import USE_CASES, Page, Shown

SHOWN = f'{USE_CASES}, kind!="exercise"'

PAGE = Page(
    "vigie-dispatch",
    "Dispatch now",
    "Whether calls are answered, how fast, by what, and how grave they are said to be. Exercises count nowhere but in"
    " the panel of kinds.",
    since="now-1h",
    rows={
        "At a glance": (
            Shown(
                "Calls a minute",
                "Valid and refused calls of the last five minutes, without exercises.",
                "cpm",
                {"calls": f"sum(vigie:calls:rate5m{{{USE_CASES}}}) * 60"},
                width=4,
                height=4,
                number=True,
                decimals=1,
            ),
            Shown(
                "Answered",
                "Share of the last five minutes' valid live calls that got an answer. The objective is 99.9 % a month.",
                "percentunit",
                {"answered": "1 - vigie:calls_failed:ratio_rate5m"},
                width=4,
                height=4,
                number=True,
                bounds=(0.99, 0.999),
                falling=True,
                decimals=2,
                most=1,
            ),
            Shown(
                "Slowest percent begins at",
                "99 of 100 answers left prediction faster than this. The objective is 50 ms.",
                "s",
                {"p99": f"max(vigie:call_duration_seconds:p99{{{USE_CASES}}} >= 0)"},
                width=4,
                height=4,
                number=True,
                bounds=(0.025, 0.05),
            ),
            Shown(
                "From the champion",
                "Share of answers that came from the model that the registry names as champion.",
                "percentunit",
                {
                    "champion": f'sum(rate(vigie_predictions_total{{{SHOWN}, source="champion"}}[10m]))'
                    f" / sum(rate(vigie_predictions_total{{{SHOWN}}}[10m]))"
                },
                width=4,
                height=4,
                number=True,
                bounds=(0.95, 0.99),
                falling=True,
                most=1,
                decimals=1,
            ),
            Shown(
                "Replicas",
                "Replicas of prediction that Prometheus reaches.",
                "none",
                {"up": 'sum(up{job="prediction"})'},
                width=4,
                height=4,
                number=True,
                bounds=(0.5, 1),
                falling=True,
                links={"Platform": "/d/vigie-platform"},
            ),
            Shown(
                "Alerts",
                "Alerts that fire now. The dashboard shows them as a banner, and each has a runbook.",
                "none",
                {"firing": 'count(ALERTS{alertstate="firing"}) or vector(0)'},
                width=4,
                height=4,
                number=True,
                bounds=(1, 3),
                links={"Alertmanager": "/../alertmanager/"},
            ),
        ),
        "Answers": (
            Shown(
                "Calls by use case",
                "Single calls a second, however they ended.",
                "reqps",
                {"{{use_case}}": f"vigie:calls:rate5m{{{USE_CASES}}}"},
            ),
            Shown(
                "How long an answer takes",
                "Median and 99th percentile inside prediction; the way through the network comes on top.",
                "s",
                {
                    "{{use_case}} p99": f"vigie:call_duration_seconds:p99{{{USE_CASES}}}",
                    "{{use_case}} p50": f"vigie:call_duration_seconds:p50{{{USE_CASES}}}",
                },
                bounds=(0.025, 0.05),
            ),
            Shown(
                "How calls end",
                "Refused: the caller's mistake. Failed: ours, and it uses up the budget of unanswered calls.",
                "reqps",
                {
                    "{{outcome}}": "sum by (outcome) (rate(vigie_call_duration_seconds_count"
                    f"{{{SHOWN}}}[$__rate_interval]))"
                },
                stacked=True,
                links={"SLO": "/d/vigie-slo"},
            ),
            Shown(
                "Where answers come from",
                "champion: confirmed by the registry; cached: the last known model; baseline: the declared rule.",
                "percentunit",
                {
                    "{{use_case}} {{source}}": "sum by (use_case, source)"
                    f" (rate(vigie_predictions_total{{{SHOWN}}}[10m])) / on (use_case) group_left ()"
                    f" (sum by (use_case) (rate(vigie_predictions_total{{{SHOWN}}}[10m])) > 0)"
                },
                most=1,
                links={"Models": "/d/vigie-models"},
            ),
            Shown(
                "Batches and lists",
                "Other requests to prediction by route.",
                "reqps",
                {
                    "{{handler}}": 'sum by (handler) (rate(http_requests_total{job="prediction",'
                    ' handler!~"/v1/[a-z_]+/predict"}[$__rate_interval]))'
                },
            ),
            Shown(
                "Kinds of calls",
                "Live calls, exercises of people in training, and calls that a program made up.",
                "reqps",
                {
                    "{{kind}}": "sum by (kind) (rate(vigie_call_duration_seconds_count"
                    f"{{{USE_CASES}}}[$__rate_interval]))"
                },
                stacked=True,
            ),
        ),
        "Risk": (
            Shown(
                "Decisions",
                "What the answers decide: how often a risk was seen, by use case.",
                "reqps",
                {
                    "{{use_case}} {{decision}}": "sum by (use_case, decision) (rate(vigie_predictions_total"
                    f"{{{SHOWN}}}[$__rate_interval]))"
                },
                width=12,
                stacked=True,
            ),
            Shown(
                "Rows refused",
                "Rows that did not validate; many of them point to a change in a centre's system.",
                "reqps",
                {"{{use_case}}": f"sum by (use_case) (rate(vigie_refused_rows_total{{{SHOWN}}}[$__rate_interval]))"},
                width=12,
            ),
        ),
    },
)
