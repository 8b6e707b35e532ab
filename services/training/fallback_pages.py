"""Static fallback pages (HTML, English and French) of each use case, written at every promotion and rollback."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import structlog

from services.core import use_case_registry as declared
from services.core.contract.use_case import (
    BinaryClassification,
    MultiClass,
    Regression,
    RegressionPrediction,
    Target,
    TargetPrediction,
    Text,
    UseCase,
    example_request,
)
from services.core.io import atomic_write
from services.core.model_registry.client import ModelRegistry
from services.core.model_registry.version import RegisteredVersion
from services.core.paths import VigiePaths

log = structlog.get_logger(__name__)
LANGUAGES = ("en", "fr")
_MIN_ROWS = 20
"""Sampled rows that an area needs for a line of its own."""
_MAX_AREAS = 400
_READABLE = 0o644
"""The edge, another user, serves the pages."""
_TEXTS: Mapping[str, Text] = {
    "title": Text("Tables for the day when nothing answers", "Tableaux pour le jour où rien ne répond"),
    "use": Text(
        "Rough figures to go by without the platform. They know nothing of the call at hand.",
        "Des ordres de grandeur pour travailler sans la plateforme. Ils ne savent rien de l'appel en cours.",
    ),
    "simulated": Text(
        "MADE FROM SIMULATED DATA: not for real decisions", "DONNÉES SIMULÉES : pas pour de vraies décisions"
    ),
    "made": Text("Written {at} UTC, model version {version}", "Écrit le {at} UTC, version {version} du modèle"),
    "published": Text("Published averages", "Moyennes publiées"),
    "areas": Text("By area", "Par secteur"),
    "area": Text("Area", "Secteur"),
    "everywhere": Text("Everywhere", "Partout"),
    "span": Text("nine in ten", "neuf sur dix"),
    "rows": Text("Cases", "Cas"),
    "none": Text("No model was promoted yet.", "Aucun modèle n'a encore été promu."),
    "other": Text("Français", "English"),
}
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#14202b;background:#fff}
body{max-width:60rem;margin:1.5rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:1.2rem 0 .3rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8796a3}td.n,th.n{text-align:right}
thead{display:table-header-group}tr{break-inside:avoid}
.warn{border:3px solid #a84300;padding:.4rem .7rem;font-weight:700}
@media print{body{margin:0;font-size:11px;max-width:none}nav{display:none}}@page{margin:1.2cm}
"""


def publish(home: VigiePaths, registry: ModelRegistry, champion: RegisteredVersion) -> bool:
    """Write the pages of the champion's use case. A promotion stands whether or not its tables could be written: what
    went wrong is logged."""
    try:
        with tempfile.TemporaryDirectory(prefix="vigie-baseline-") as folder:
            bundle = registry.download(champion, Path(folder) / "bundle")
            sample = pd.read_parquet(bundle / "reference.parquet")
        use_case = declared.get(champion.use_case)
        write(home.baseline, use_case, sample, version=str(champion.number), simulated=champion.simulated)
    except Exception:
        log.exception("the tables were not written", use_case=champion.use_case, version=champion.number)
        return False
    return True


def write(folder: Path, use_case: UseCase, sample: pd.DataFrame, *, version: str, simulated: bool) -> None:
    """The page in each language, and the list of all pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        text = render_page(use_case, sample, language, version=version, simulated=simulated)
        atomic_write(folder / f"{use_case.name}.{language}.html", text, mode=_READABLE)
    atomic_write(folder / "index.html", _index(folder), mode=_READABLE)


def render_page(use_case: UseCase, sample: pd.DataFrame, language: str, *, version: str, simulated: bool) -> str:
    say = _Translator(language)
    title = say.of(use_case.title)
    other = LANGUAGES[1 - LANGUAGES.index(language)]
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    nav = (
        f"<nav><a href='index.html'>{say('title')}</a> · "
        f"<a href='{use_case.name}.{other}.html' hreflang='{other}' lang='{other}'>{say('other')}</a></nav>"
    )
    parts = [
        nav,
        f"<h1>{escape(title)}</h1><p>{say('use')}<br>{say('made').format(at=at, version=escape(version))}</p>",
        f"<p class='warn'>{say('simulated')}</p>" if simulated else "",
        f"<h2>{say('published')}</h2>",
        _published(use_case, say),
        _by_area(use_case, sample, say),
    ]
    return _document(language, title, "".join(parts))


class _Translator:
    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str) -> str:
        return escape(self.of(_TEXTS[key]))

    def of(self, text: Text) -> str:
        return text.fr if self.language == "fr" else text.en

    def number(self, value: float, digits: int = 0) -> str:
        text = f"{value:,.{digits}f}"
        return text.replace(",", "\u202f").replace(".", ",") if self.language == "fr" else text

    def share(self, value: float) -> str:
        return self.number(100 * value) + ("\u202f%" if self.language == "fr" else "%")


def _published(use_case: UseCase, say: _Translator) -> str:
    """The declared baseline for its first example, and for that with each word of the categories that change it."""
    model = use_case.request
    example = example_request(model)
    usual = _answer(use_case, example)
    rows = [(say.of(Text("Usual case", "Cas usuel")), usual)]
    for name, info in model.model_fields.items():
        words = model.model_json_schema()["properties"][name]
        options: list[str] = words.get("enum") or next(
            (part["enum"] for part in words.get("anyOf", ()) if "enum" in part), []
        )
        for word in options:
            answer = _answer(use_case, {**example, name: word})
            if answer and answer != usual:
                extra: Any = info.json_schema_extra or {}
                field = say.of(Text(info.title or name, str(extra.get("x-title-fr", info.title or name))))
                rows.append((f"{field}: {word}", answer))
    lines = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>"
        + "".join(f"<td class='n'>{_value(answer.get(target.name), target, say)}</td>" for target in use_case.targets)
        + "</tr>"
        for name, answer in rows
        if answer
    )
    return f"<table><thead><tr><td></td>{_heads(use_case, say)}</tr></thead><tbody>{lines}</tbody></table>"


def _answer(use_case: UseCase, request: Mapping[str, Any]) -> dict[str, TargetPrediction]:
    try:
        return use_case.baseline(use_case.request.model_validate(dict(request)).model_dump())[0]
    except ValueError:  # a word that does not go with the rest of the example
        return {}


def _by_area(use_case: UseCase, sample: pd.DataFrame, say: _Translator) -> str:
    """The middle and the spread of what the model says of the sample's rows, by area and everywhere."""
    targets = [target for target in use_case.targets if f"prediction.{target.name}" in sample]
    if not targets or sample.empty:
        return ""
    area = use_case.place.area if use_case.place is not None else None
    groups = [(say("everywhere"), sample)]
    if area is not None and area in sample:
        named = sample[sample[area].notna() & (sample[area].astype(str) != "")]
        found = [(escape(str(name)), part) for name, part in named.groupby(area, sort=True) if len(part) >= _MIN_ROWS]
        groups += found[:_MAX_AREAS]
    lines = "".join(
        f"<tr><th scope='row'>{name}</th>"
        + "".join(f"<td class='n'>{_summary(part, target, say)}</td>" for target in targets)
        + f"<td class='n'>{say.number(len(part))}</td></tr>"
        for name, part in groups
    )
    heads = "".join(f"<th class='n' scope='col'>{escape(say.of(target.title))}</th>" for target in targets)
    return (
        f"<h2>{say('areas')}</h2><table><thead><tr><th scope='col'>{say('area')}</th>{heads}"
        f"<th class='n' scope='col'>{say('rows')}</th></tr></thead><tbody>{lines}</tbody></table>"
    )


def _summary(rows: pd.DataFrame, target: Target, say: _Translator) -> str:
    values = rows[f"prediction.{target.name}"].dropna()
    if values.empty:
        return "–"
    if isinstance(target.output, Regression):
        low, middle, high = (float(values.quantile(q)) for q in (0.05, 0.5, 0.95))
        digits = 0 if target.output.unit == "s" else 1
        span = f"{say.number(low, digits)}–{say.number(high, digits)}"
        return f"<b>{say.number(middle, digits)} {escape(target.output.unit)}</b> ({span})"
    if isinstance(target.output, BinaryClassification):
        return say.share(float(values.mean()))
    return escape(_label(target.output, values.mode().iloc[0]))


def _label(output: Any, value: Any) -> str:
    labels = output.labels if isinstance(output, MultiClass) else ()
    return labels[int(value)] if labels and str(value).isdigit() else str(value)


def _value(value: TargetPrediction | None, target: Target, say: _Translator) -> str:
    if value is None:
        return "–"
    if isinstance(value, RegressionPrediction) and isinstance(target.output, Regression):
        digits = 0 if target.output.unit == "s" else 1
        span = f"{say.number(float(value.lower), digits)}–{say.number(float(value.upper), digits)}"
        return f"<b>{say.number(float(value.value), digits)} {escape(target.output.unit)}</b> ({span})"
    if hasattr(value, "probability"):
        return say.share(float(value.probability))
    shares = list(getattr(value, "probabilities", ()))
    labels = getattr(value, "labels", ())
    return escape(str(labels[shares.index(max(shares))])) if shares else "–"


def _heads(use_case: UseCase, say: _Translator) -> str:
    return "".join(f"<th class='n' scope='col'>{escape(say.of(target.title))}</th>" for target in use_case.targets)


def _index(folder: Path) -> str:
    lists = []
    for language in LANGUAGES:
        say = _Translator(language)
        names = [name for name in declared.names() if (folder / f"{name}.{language}.html").exists()]
        links = "".join(
            f"<li><a href='{name}.{language}.html'>{escape(say.of(declared.get(name).title))}</a></li>"
            for name in names
        )
        lists.append(f"<section lang='{language}'><h1>{say('title')}</h1><ul>{links}</ul></section>")
    return _document("en", _TEXTS["title"].en, "".join(lists))


def _document(language: str, title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang='{language}'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )
