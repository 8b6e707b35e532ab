"""A run as it is kept: the row that it begins with, and the summary that people and programs read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from services.core.monitoring.tables import MonitoringRun
from services.core.registry.version import Version
from services.drift import history
from services.drift.actions import Action
from services.drift.look import Look
from services.drift.verdict import TOO_FEW
from services.drift.wording import Reason


def begun(
    run_id: str, use_case: str, started: datetime, champion: Version | None, window: pd.DataFrame
) -> MonitoringRun:
    reported = window["call_reported_at"].max() if len(window) else None
    return MonitoringRun(
        id=run_id,
        use_case=use_case,
        started_at=started,
        finished_at=started,
        window_to=window["event_time"].max().to_pydatetime() if len(window) else None,
        outcomes_until=None if reported is None or pd.isna(reported) else reported.to_pydatetime(),
        model_version="" if champion is None else str(champion.number),
        verdict=TOO_FEW,
        breached=False,
        inputs_drifted=False,
        action=history.NONE,
        report=False,
        summary={"from": window["event_time"].min().isoformat() if len(window) else None},
    )


def summary_of(
    run: MonitoringRun, look: Look, reasons: Sequence[Reason], action: Action, *, calls: int, outcomes: int
) -> dict[str, Any]:
    """What people and programs read of the run; sets when it ended."""
    run.finished_at = datetime.now(UTC)
    return {
        "id": run.id,
        "use_case": run.use_case,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat(),
        "window": {
            "from": (run.summary or {}).get("from"),
            "to": None if run.window_to is None else run.window_to.isoformat(),
            "calls": calls,
            "outcomes": outcomes,
            "season_known": look.season_known,
        },
        "model_version": run.model_version,
        "verdict": run.verdict,
        "reasons": [reason.as_json() for reason in reasons],
        "action": action.as_json(),
        "drift": {"share": round(look.share, 4), "columns": [column.as_json() for column in look.columns]},
        "quality": look.quality,
        "judged": look.judged,
        "estimate": {"targets": look.estimates},
        "shadow": look.shadow,
        "report": run.report,
    }
