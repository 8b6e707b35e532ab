"""Two versions on the same calls: the challenger beside the champion, a new champion beside the one before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from services.core.params import Monitoring
from services.core.registry.version import Tag, Version
from services.core.scoring.answers import matching, take
from services.core.usecases.contract import Text, UseCase
from services.drift import quality
from services.drift.calls import days_of
from services.drift.look import Look
from services.drift.models import Models
from services.drift.quality import Answered
from services.drift.wording import Reason

_OTHER_TARGETS = 3.0
"""A target that does not decide has to be so many times the limit worse to bring a model down."""


def duel_of(
    use_case: UseCase, models: Models, calls: pd.DataFrame, *, new: Version, old: Version, params: Monitoring
) -> list[dict[str, Any]]:
    """Two versions on the same calls, each target by its loss. Both are asked here, off the request path."""
    ours, theirs = models.predictor(new), models.predictor(old)
    if ours is None or theirs is None or calls.empty:
        return []
    one, other = models.predict(ours, calls), models.predict(theirs, calls)
    day, made = days_of(calls), []
    for target in use_case.targets:
        known = np.flatnonzero(calls[target.label].notna())
        if len(known) < params.segment_rows:
            continue
        matched = [matching(calls[target.label], prediction.values[target.name]) for prediction in (one, other)]
        sides = [Answered(target, label[known], take(value, known), day[known]) for label, value in matched]
        made.append(quality.duel(sides[0], sides[1], params.seed))
    return made


def challenged(
    look: Look, use_case: UseCase, window: pd.DataFrame, models: Models, *, champion: Version, params: Monitoring
) -> None:
    """What the challenger would have answered to the calls since it was made, into ``look``."""
    challenger = models.challenger()
    if challenger is not None:
        fresh = window[window["call_received_at"] > pd.Timestamp(challenger.created)]
        duel = duel_of(use_case, models, fresh, new=challenger, old=champion, params=params)
        look.shadow["challenger"] = {"version": challenger.number, "targets": duel}


def worse_than_before(
    look: Look, use_case: UseCase, window: pd.DataFrame, models: Models, *, champion: Version, params: Monitoring
) -> Reason | None:
    """The comparison with the champion before this one, into ``look``; why this one should go, if it should."""
    promoted, old = champion.tags.get(Tag.PROMOTED, ""), models.before(champion)
    if old is None or not promoted or champion.tags.get(Tag.ROLLED_BACK) or old.tags.get(Tag.ROLLED_BACK):
        return None
    since = pd.Timestamp(promoted)
    if since < pd.Timestamp(datetime.now(UTC) - timedelta(days=params.watch_days)):
        return None
    mine = (window["call_received_at"] > since) & (window["call_version"] == str(champion.number))
    duel = duel_of(use_case, models, window[mine], new=champion, old=old, params=params)
    look.shadow["previous"] = {"version": old.number, "since": since.isoformat(), "targets": duel}
    for place, entry in enumerate(duel):
        limit = params.rollback_limit * (1.0 if place == 0 else _OTHER_TARGETS)
        enough = entry["count"] >= params.minimum_outcomes
        if enough and entry["high"] < 0 and entry["new"] > entry["old"] * (1 + limit):
            title = use_case.target(entry["target"]).title
            return Reason(
                "worse_than_before",
                Text(
                    f"On the same {entry['count']} calls its {entry['metric']} of '{title.en}' is "
                    f"{entry['new']:.4g}, that of version {old.number} before it {entry['old']:.4g}.",
                    f"Sur les mêmes {entry['count']} appels, son {entry['metric']} de « {title.fr} » est de "
                    f"{entry['new']:.4g}, celui de la version {old.number} précédente de {entry['old']:.4g}.",
                ),
            )
    return None
