"""``SLO``: how much of the two promises' budgets is left."""

from __future__ import annotations

from monitoring.grafana.panels import Page, Shown

ANSWERS, SPEED = 0.001, 0.01
"""Share of calls that may stay without an answer, and of answers that may take longer than 50 ms."""


def _left(kind: str, budget: float, what: str) -> Shown:
    return Shown(
        "Budget left",
        what,
        "percentunit",
        {"left": f"1 - vigie:calls_{kind}:ratio_rate30d / {budget}"},
        number=True,
        width=6,
        bounds=(0, 0.5),
        falling=True,
        least=None,
    )


def _burn(kind: str, budget: float, links: dict[str, str] | None = None) -> Shown:
    return Shown(
        "How fast the budget burns",
        "1 uses it up in exactly 30 days; above 14.4 somebody is called, above 6 a ticket is opened.",
        "none",
        {window: f"vigie:calls_{kind}:ratio_rate{window} / {budget}" for window in ("5m", "30m", "1h", "6h")},
        width=12,
        bounds=(6, 14.4),
        decimals=1,
        links=links or {},
    )


PAGE = Page(
    "vigie-slo",
    "SLO",
    "Two promises about live calls over 30 days: 99.9 % of valid ones get an answer, and 99 % of answers leave within"
    " 50 ms.",
    by_use_case=False,
    since="now-7d",
    rows={
        "Answers: 99.9 %": (
            Shown(
                "Answered within 30 days",
                "Share of valid calls that got an answer, whatever its source. Only live calls count.",
                "percentunit",
                {"answered": "1 - vigie:calls_failed:ratio_rate30d"},
                number=True,
                width=6,
                bounds=(0.999, 0.9995),
                falling=True,
                decimals=3,
                most=1,
            ),
            _left(
                "failed",
                ANSWERS,
                "What may still go unanswered this month, as a share of what might; below zero the promise is broken.",
            ),
            _burn("failed", ANSWERS, {"Dispatch now": "/d/vigie-dispatch"}),
        ),
        "Speed: 99 % within 50 ms": (
            Shown(
                "Fast within 30 days",
                "Share of answers that left prediction within 50 ms.",
                "percentunit",
                {"fast": "1 - vigie:calls_slow:ratio_rate30d"},
                number=True,
                width=6,
                bounds=(0.99, 0.995),
                falling=True,
                decimals=2,
                most=1,
            ),
            _left("slow", SPEED, "What may still be slow this month, as a share of what might."),
            _burn("slow", SPEED),
        ),
        "What it is measured on": (
            Shown(
                "Calls",
                "Valid calls of the last 30 days that the two figures rest on.",
                "short",
                {"calls": "sum_over_time(vigie:calls_valid:rate5m[30d:1m]) * 60"},
                number=True,
                width=6,
            ),
            Shown(
                "Slowest percent",
                "99th percentile of the answers' durations by use case.",
                "s",
                {"{{use_case}}": "vigie:call_duration_seconds:p99"},
                width=9,
                bounds=(0.025, 0.05),
            ),
            Shown(
                "Replicas of prediction",
                "A call that reaches none of them is in no count of theirs.",
                "none",
                {"up": 'sum(up{job="prediction"})'},
                width=9,
                bounds=(0.5, 1),
                falling=True,
            ),
        ),
    },
)
