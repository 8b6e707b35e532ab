"""Static fallback pages (HTML, English and French) of each use case, written at every promotion and rollback."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import structlog
from jinja2 import Environment, FileSystemLoader

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
from services.core.messages import LANGUAGES, Formats, Language, Translator
from services.core.model_registry.client import ModelRegistry
from services.core.model_registry.version import RegisteredVersion
from services.core.paths import VigiePaths

log = structlog.get_logger(__name__)
_MIN_ROWS = 20
"""Sampled rows that an area needs for a line of its own."""
_MAX_AREAS = 400
_READABLE = 0o644
"""The edge, another user, serves the pages."""
_PAGE = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
).get_template("fallback_page.html")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: an answer and, for quantities, its interval; a dash for none."""

    text: str = "–"
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table.

    Attributes:
        title: What the line is about.
        values: A cell for each target.
        count: Rows of the sample that it sums up, as text.
    """

    title: str
    values: list[Cell]
    count: str = ""


def publish(home: VigiePaths, registry: ModelRegistry, champion: RegisteredVersion) -> bool:
    """Write the fallback pages of the champion's use case.

    A promotion stands whether or not they could be written: what went wrong is logged.

    Args:
        home: Folders of the platform.
        registry: Where the champion's reference sample is read.
        champion: The version in service.

    Returns:
        Whether the pages were written.
    """
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
    """Write a use case's page in each language, and the list of all pages.

    Args:
        folder: Where the HTML files are written.
        use_case: What the page is about.
        sample: Rows of ``reference.parquet`` (n rows).
        version: The model version that the page names.
        simulated: Whether the version was trained on simulated data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        text = render_page(use_case, sample, language, version=version, simulated=simulated)
        atomic_write(folder / f"{use_case.name}.{language}.html", text, mode=_READABLE)
    atomic_write(folder / "index.html", _index(folder), mode=_READABLE)


def render_page(use_case: UseCase, sample: pd.DataFrame, language: Language, *, version: str, simulated: bool) -> str:
    """Render a use case's page: declared averages, and the model's answers to the bundle's reference sample by area.

    Args:
        use_case: What the page is about.
        sample: Rows of ``reference.parquet`` (n rows), with a column ``prediction.<target>`` for each target.
        language: Of the page.
        version: The model version that the page names.
        simulated: Whether the version was trained on simulated data, which the page then says.

    Returns:
        HTML.
    """
    words, formats = Translator(language), Formats(language)
    targets = [target for target in use_case.modelling.targets if f"prediction.{target.name}" in sample]
    return _PAGE.render(
        language=language,
        other="en" if language == "fr" else "fr",
        title=words.of(use_case.presentation.title),
        name=use_case.name,
        words=words,
        at=datetime.now(UTC),
        version=version,
        simulated=simulated,
        targets=use_case.modelling.targets,
        published=_published(use_case, words, formats),
        area_targets=targets,
        areas=[] if sample.empty or not targets else _by_area(use_case, targets, sample, words, formats),
    )


def _published(use_case: UseCase, words: Translator, formats: Formats) -> list[Row]:
    """Tabulate the declared baseline for its first example, and for that with each category that changes it."""
    model = use_case.serving.request
    example = example_request(model)
    usual = _answer(use_case, example)
    answers = [(words("fallback.usual"), usual)]
    properties = model.model_json_schema()["properties"]
    for name, info in model.model_fields.items():
        schema = properties[name]
        options: list[str] = schema.get("enum") or next(
            (part["enum"] for part in schema.get("anyOf", ()) if "enum" in part), []
        )
        extra: Any = info.json_schema_extra or {}
        title = words.of(Text(info.title or name, str(extra.get("x-title-fr", info.title or name))))
        for option in options:
            answer = _answer(use_case, {**example, name: option})
            if answer != usual:
                answers.append((f"{title}: {option}", answer))
    return [
        Row(title, [_baseline_cell(answer.get(target.name), target, formats) for target in use_case.modelling.targets])
        for title, answer in answers
        if answer
    ]


def _answer(use_case: UseCase, request: Mapping[str, Any]) -> dict[str, TargetPrediction]:
    try:
        return use_case.serving.fallback_prediction(
            use_case.serving.request.model_validate(dict(request)).model_dump()
        )[0]
    except ValueError:  # a word that does not go with the rest of the example
        return {}


def _by_area(
    use_case: UseCase, targets: list[Target], sample: pd.DataFrame, words: Translator, formats: Formats
) -> list[Row]:
    """Tabulate the median and the spread of the model's answers to the sample's rows, everywhere and by area."""
    area = use_case.presentation.map.area_field if use_case.presentation.map is not None else None
    groups = [(words("fallback.everywhere"), sample)]
    if area is not None and area in sample:
        named = sample[sample[area].notna() & (sample[area].astype(str) != "")]
        large = [(str(name), rows) for name, rows in named.groupby(area, sort=True) if len(rows) >= _MIN_ROWS]
        groups += large[:_MAX_AREAS]
    return [
        Row(title, [_summary(rows, target, formats) for target in targets], formats.number(len(rows)))
        for title, rows in groups
    ]


def _summary(rows: pd.DataFrame, target: Target, formats: Formats) -> Cell:
    values = rows[f"prediction.{target.name}"].dropna()
    if values.empty:
        return Cell()
    if isinstance(target.output, Regression):
        low, middle, high = (float(values.quantile(q)) for q in (0.05, 0.5, 0.95))
        return _quantity(middle, low, high, target.output, formats)
    if isinstance(target.output, BinaryClassification):
        return Cell(formats.percent(float(values.mean())))
    most, labels = values.mode().iloc[0], target.output.labels if isinstance(target.output, MultiClass) else ()
    return Cell(labels[int(most)] if labels and str(most).isdigit() else str(most))


def _baseline_cell(value: TargetPrediction | None, target: Target, formats: Formats) -> Cell:
    if value is None:
        return Cell()
    if isinstance(value, RegressionPrediction) and isinstance(target.output, Regression):
        return _quantity(float(value.value), float(value.lower), float(value.upper), target.output, formats)
    if hasattr(value, "probability"):
        return Cell(formats.percent(float(value.probability)))
    shares, labels = list(getattr(value, "probabilities", ())), getattr(value, "labels", ())
    return Cell(str(labels[shares.index(max(shares))])) if shares else Cell()


def _quantity(value: float, low: float, high: float, output: Regression, formats: Formats) -> Cell:
    digits = 0 if output.unit == "s" else 1
    interval = f"{formats.number(low, digits)}–{formats.number(high, digits)}"
    return Cell(formats.quantity(value, output.unit, digits), interval)


def _index(folder: Path) -> str:
    """Render the list of the pages that lie in the folder, each under its own title."""
    sections = []
    for language in LANGUAGES:
        ending = f".{language}.html"
        pages = {path.name.removesuffix(ending): path.read_text() for path in sorted(folder.glob(f"*{ending}"))}
        titles = [(name, unescape(text.partition("<title>")[2].partition("<")[0])) for name, text in pages.items()]
        sections.append({"language": language, "title": Translator(language)("fallback.title"), "pages": titles})
    return _PAGE.render(language="en", title=sections[0]["title"], sections=sections)
