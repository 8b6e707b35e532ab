"""``Models``: which versions serve, how good they are and how they change."""

from __future__ import annotations

from monitoring.grafana.panels import BAD, GOOD, USE_CASES, WARN, Page, Shown

DAY = 86_400

PAGE = Page(
    "vigie-models",
    "Models",
    "Versions in service, drift and live error, and what the gate and the platform itself did about them.",
    since="now-7d",
    rows={
        "In service": (
            Shown(
                "Version that answers",
                "Rows a second by version: after a promotion one line ends where the next begins.",
                "reqps",
                {
                    "{{use_case}} {{version}}": "sum by (use_case, version) (rate(vigie_predictions_total"
                    f"{{{USE_CASES}}}[$__rate_interval]))"
                },
            ),
            Shown(
                "Age of the model",
                "Since the model in service was made. An alert says so after 45 days.",
                "s",
                {"{{use_case}}": f"max by (use_case) (vigie_model_age_seconds{{{USE_CASES}}})"},
                bounds=(30 * DAY, 45 * DAY),
            ),
            Shown(
                "Confirmed by the registry",
                "1: the registry named this model as champion within the last minute.",
                "none",
                {"{{use_case}}": f"min by (use_case) (vigie_champion_confirmed{{{USE_CASES}}})"},
                most=1,
                meanings={"0": ("not confirmed", WARN), "1": ("confirmed", GOOD)},
            ),
        ),
        "Quality on live calls": (
            Shown(
                "Verdict of the last look",
                "What the drift service said last: stable, watch, drifted, or too few calls to say anything.",
                "none",
                {"{{use_case}}": f"max by (use_case) (vigie_drift_verdict{{{USE_CASES}}})"},
                least=-1,
                most=2,
                bounds=(1, 2),
                meanings={
                    "-1": ("too few", "blue"),
                    "0": ("stable", GOOD),
                    "1": ("watch", WARN),
                    "2": ("drifted", BAD),
                },
                links={"Drift and quality": "/../"},
            ),
            Shown(
                "Drift share",
                "How much of what the model goes by lies on inputs that have drifted.",
                "percentunit",
                {"{{use_case}}": f"max by (use_case) (vigie_drift_share{{{USE_CASES}}})"},
                most=1,
            ),
            Shown(
                "Live error against its reference",
                "Error on calls whose outcome is known, divided by the champion's error on its test rows. 1 is as good"
                " as promised.",
                "none",
                {
                    "{{use_case}} {{target}} {{metric}}": "max by (use_case, target, metric)"
                    f" (vigie_live_error{{{USE_CASES}}}) / max by (use_case, target, metric)"
                    f" (vigie_live_error_reference{{{USE_CASES}}} > 0)"
                },
                bounds=(1.1, 1.3),
                decimals=2,
            ),
        ),
        "Changes": (
            Shown(
                "What the gate decided",
                "Decisions within the range that is shown.",
                "none",
                {
                    "{{use_case}} {{decision}}": "sum by (use_case, decision) (increase(vigie_gate_decisions_total"
                    f"{{{USE_CASES}}}[$__range]))"
                },
                width=6,
                links={"Pipelines": "/d/vigie-pipelines"},
            ),
            Shown(
                "Promotions and rollbacks",
                "Versions made champion, through the gate or by hand, and returns to the one before.",
                "none",
                {
                    "{{use_case}} {{way}}": "sum by (use_case, way) (increase(vigie_promotions_total"
                    f"{{{USE_CASES}}}[$__range]))",
                    "{{use_case}} rolled back": "sum by (use_case) (increase(vigie_rollbacks_total"
                    f"{{{USE_CASES}}}[$__range]))",
                },
                width=6,
            ),
            Shown(
                "By the platform itself",
                "Retrainings that drift or error began, and new champions that did worse and were rolled back.",
                "none",
                {
                    "{{use_case}} retrained": "sum by (use_case) (increase(vigie_automatic_retrainings_total"
                    f"{{{USE_CASES}}}[$__range]))",
                    "{{use_case}} rolled back": "sum by (use_case) (increase(vigie_automatic_rollbacks_total"
                    f"{{{USE_CASES}}}[$__range]))",
                },
                width=6,
            ),
            Shown(
                "Promotions frozen",
                "1 while somebody has frozen promotions, for example during a major incident.",
                "none",
                {"frozen": "max(vigie_gateway_promotions_frozen)"},
                width=6,
                most=1,
                bounds=(1, 2),
            ),
            Shown(
                "Swaps",
                "Models put into service, counted by each replica.",
                "none",
                {"{{use_case}}": f"sum by (use_case) (increase(vigie_model_swaps_total{{{USE_CASES}}}[$__range]))"},
            ),
            Shown(
                "How long a swap takes",
                "From seeing a new champion to serving it, on average; calls are answered by the old one meanwhile.",
                "s",
                {
                    "{{use_case}}": f"sum by (use_case) (vigie_model_swap_seconds_sum{{{USE_CASES}}})"
                    f" / (sum by (use_case) (vigie_model_swap_seconds_count{{{USE_CASES}}}) > 0)"
                },
                bounds=(10, 30),
            ),
            Shown(
                "What went wrong",
                "Bundles that were refused, rows that a model failed on, and polls that the registry did not answer.",
                "none",
                {
                    "{{use_case}} refused ({{origin}})": "sum by (use_case, origin) (increase("
                    f"vigie_model_load_failures_total{{{USE_CASES}}}[$__rate_interval]))",
                    "{{use_case}} registry silent": "sum by (use_case) (increase("
                    f"vigie_registry_failures_total{{{USE_CASES}}}[$__rate_interval]))",
                },
                bounds=(1, 10),
            ),
        ),
    },
)
