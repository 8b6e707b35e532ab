"""Reasons of a verdict as sentences in English and French. To move to ``services.core.messages``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.core.contract.use_case import Regression, Target, Text, UseCase
from services.drift.column_drift import ColumnDrift
from services.drift.performance.degradation import Degradation
from services.drift.statistics import CENTRE, HOUR, Segment, loss_name

NARROW_SPACE = "\u202f"
"""A narrow space at which no line breaks."""


def french_number(number: str) -> str:
    """``0.78`` as ``0,78``, ``64%`` as ``64 %``: a decimal comma, and a narrow space before what follows the digits."""
    return number.replace(".", ",").replace("%", f"{NARROW_SPACE}%")


OUTPUT_PREFIX, DRIFT_FEATURE_PREFIX = "prediction.", "watched."
_METRIC_NAMES = {
    "mae": Text("mean error", "erreur moyenne"),
    "brier": Text("Brier score", "score de Brier"),
    "log_loss": Text("log loss", "perte logarithmique"),
}


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    text: Text
    column: str | None = None
    area: str | None = None
    value: float | None = None
    since: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        made: dict[str, Any] = {"code": self.code, "en": self.text.en, "fr": self.text.fr}
        if self.column is not None:
            made["column"] = self.column
        if self.area is not None:
            made["area"] = self.area
        if self.value is not None:
            made["value"] = round(self.value, 4)
        if self.since is not None:
            made["since"] = self.since.isoformat(timespec="seconds")
        return made


def column_title(use_case: UseCase, column: str) -> Text:
    """What people call a column."""
    if column.startswith(OUTPUT_PREFIX):
        target = use_case.target(column.removeprefix(OUTPUT_PREFIX))
        return Text(f"the answer '{target.title.en}'", f"la réponse « {target.title.fr} »")
    watched = use_case.watched.get(column.removeprefix(DRIFT_FEATURE_PREFIX))
    if watched is not None:
        return Text(watched.en, watched.fr)
    for subgroup in use_case.subgroups:
        if subgroup.column == column:
            return subgroup.title
    info = use_case.request.model_fields.get(column)
    if info is not None:
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        return Text(info.title or column, str(extra.get("x-title-fr") or info.title or column))
    known = {CENTRE: Text("Centre", "Centre"), HOUR: Text("Hour", "Heure"), "station": Text("Station", "Caserne")}
    return known.get(column, Text(column.replace("_", " "), column.replace("_", " ")))


def error_reason(use_case: UseCase, breach: Degradation, *, lasting: bool) -> Reason:
    target = use_case.target(breach.target)
    name, metric = target.title, _METRIC_NAMES[loss_name(target)]
    since = None if breach.since is None else datetime.fromtimestamp(breach.since, UTC)
    value, reference = _with_unit(target, breach.value), _with_unit(target, breach.reference)
    when_en = f"since {since:%Y-%m-%d %H:%M} UTC" if since else "during the whole window"
    when_fr = f"depuis le {since:%d/%m/%Y à %H:%M} UTC" if since else "sur toute la fenêtre"
    still_en, still_fr = ("", "") if lasting else ("; not for long enough yet", " ; pas encore assez longtemps")
    if breach.segment is None:
        where_en, where_fr = "All calls", "Tous les appels"
    else:
        title = column_title(use_case, breach.segment.column)
        where_en = f"{title.en} {breach.segment.value}"
        where_fr = f"{title.fr} {breach.segment.value}"
    code = "error_overall" if breach.segment is None else "error_segment"
    more = {"column": None if breach.segment is None else breach.segment.column, "area": _area(breach.segment)}
    if breach.bias:
        happened = _observed_rate(breach)
        text = Text(
            f"{where_en}: the model says {breach.said:.0%} for '{name.en}' and it was {happened:.0%}, on "
            f"{breach.count} calls, {when_en}{still_en}.",
            f"{where_fr} : le modèle dit {french_number(f'{breach.said:.0%}')} pour « {name.fr} », c'était "
            f"{french_number(f'{happened:.0%}')}, sur "
            f"{breach.count} appels, {when_fr}{still_fr}.",
        )
        return Reason(code, text, value=breach.rise, since=since, **more)
    return Reason(
        code,
        Text(
            f"{where_en}: the {metric.en} of '{name.en}' is {value} instead of {reference} "
            f"({breach.rise:+.0%}) on {breach.count} calls, {when_en}{still_en}.",
            f"{where_fr} : {metric.fr} de « {name.fr} » : {french_number(value)} au lieu de {french_number(reference)} "
            f"({french_number(f'{breach.rise:+.0%}')}) sur {breach.count} appels, {when_fr}{still_fr}.",
        ),
        value=breach.rise,
        since=since,
        **more,
    )


def _observed_rate(breach: Degradation) -> float:
    """How often it was so: what was answered and the bias, whose sign is lost where it is said too often."""
    return abs(breach.said + breach.value if breach.under else breach.said - breach.value)


def column_reason(use_case: UseCase, drift: ColumnDrift, since: datetime | None, effect: Text) -> Reason:
    title = column_title(use_case, drift.name)
    when_en = f" since {since:%Y-%m-%d}" if since else ""
    when_fr = f" depuis le {since:%d/%m/%Y}" if since else ""
    if drift.code == "missing":
        said = Text(
            f"{title.en} is missing in {drift.missing_current:.0%} of the calls{when_en}, usually in "
            f"{drift.missing_reference:.0%}.",
            f"{title.fr} manque dans {french_number(f'{drift.missing_current:.0%}')} des appels{when_fr}, d'ordinaire "
            f"dans {french_number(f'{drift.missing_reference:.0%}')}.",
        )
    elif drift.code == "unseen":
        said = Text(
            f"{title.en}: {drift.unseen:.0%} of the calls{when_en} have a value that the model never saw.",
            f"{title.fr} : {french_number(f'{drift.unseen:.0%}')} des appels{when_fr} portent une valeur que le modèle "
            "n'a jamais vue.",
        )
    else:
        said = Text(
            f"{title.en} is distributed otherwise than in training{when_en} (distance {drift.value:.2f}, "
            f"{drift.threshold:.2f} is usual at most).",
            f"{title.fr} n'est plus réparti comme à l'apprentissage{when_fr} (distance "
            f"{french_number(f'{drift.value:.2f}')}, au plus {french_number(f'{drift.threshold:.2f}')} d'ordinaire).",
        )
    kind = "output" if drift.name.startswith(OUTPUT_PREFIX) else "input"
    text = Text(f"{said.en} {effect.en}", f"{said.fr} {effect.fr}")
    return Reason(f"{kind}_{drift.code}", text, column=drift.name, value=drift.value, since=since)


def effect_on_error(judged: bool, breached: bool) -> Text:
    """What drifted inputs do to the error, as far as outcomes say."""
    if not judged:
        return Text(
            "Too few outcomes are known to say what it does to the error.",
            "Trop peu de retours sont connus pour en dire l'effet sur l'erreur.",
        )
    if breached:
        return Text("The error has grown at the same time.", "L'erreur a augmenté en même temps.")
    return Text("The error is within its limits.", "L'erreur reste dans ses limites.")


def volume_reason(recent: float, usual: float) -> Reason:
    return Reason(
        "volume",
        Text(
            f"{recent:.0f} calls came in the last 24 hours, usually {usual:.0f} a day.",
            f"{recent:.0f} appels ces dernières 24 heures, d'ordinaire {usual:.0f} par jour.",
        ),
        value=recent / usual if usual else None,
    )


def estimate_reason(use_case: UseCase, target: str, value: float, reference: float) -> Reason:
    title, rise = use_case.target(target).title, value / reference - 1
    return Reason(
        "error_estimated",
        Text(
            f"'{title.en}': the answers are less sure than on the test rows; an error {rise:+.0%} is estimated, its "
            "truth not yet known.",
            f"« {title.fr} » : les réponses sont moins sûres que sur les données de test ; une erreur de "
            f"{french_number(f'{rise:+.0%}')} est estimée, la vérité n'est pas encore connue.",
        ),
        value=rise,
    )


def _area(segment: Segment | None) -> str | None:
    return segment.value if segment is not None and segment.is_place_or_kind else None


def _with_unit(target: Target, value: float) -> str:
    if isinstance(target.output, Regression):
        return f"{value:.3g} {target.output.unit}"
    return f"{value:.3f}"
