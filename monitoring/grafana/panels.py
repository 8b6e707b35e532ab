"""The few kinds of panel that the dashboards are made of. Each says what it shows, in which unit, and where to look
next; every query is run against a real Prometheus by ``tests/panel_queries.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="prometheus")
USE_CASES = 'use_case=~"$use_case"'
"""The selector of the dashboards' one variable."""
GOOD, WARN, BAD = "green", "orange", "red"
WIDTH = 24


@dataclass(frozen=True, slots=True)
class Shown:
    """One panel. ``queries`` maps legends to PromQL; ``bounds`` are the values from which on it turns orange and red
    (upwards, or downwards where ``falling``)."""

    title: str
    description: str
    unit: str
    queries: Mapping[str, str]
    width: int = 8
    height: int = 7
    number: bool = False
    """One large figure instead of lines."""
    bounds: tuple[float, float] | None = None
    falling: bool = False
    most: float | None = None
    least: float | None = 0
    decimals: int | None = None
    stacked: bool = False
    meanings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Value -> the word and colour that stand for it."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Title -> address of the page that says more: ``/d/UID`` is a dashboard, ``/../PATH`` a page of the edge (Grafana
    puts its own base path before a leading slash)."""


@dataclass(frozen=True, slots=True)
class Page:
    uid: str
    title: str
    description: str
    rows: Mapping[str, Sequence[Shown]]
    by_use_case: bool = True
    since: str = "now-3h"


def made(page: Page) -> models.Dashboard:
    """The dashboard, with links to its siblings."""
    built = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.description)
        .tags(["vigie"])
        .timezone("browser")
        .refresh("30s")
        .time(page.since, "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            dashboard.DashboardLink("Vigie")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["vigie"])
            .keep_time(True)
            .include_vars(True)
        )
    )
    if page.by_use_case:
        built = built.with_variable(
            dashboard.QueryVariable("use_case")
            .label("Use case")
            .datasource(SOURCE)
            .query("label_values(vigie_champion_confirmed, use_case)")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(models.VariableOption(text="All", value="$__all", selected=True))
        )
    number = 0
    for title, shown in page.rows.items():
        number += 1
        built = built.with_row(dashboard.Row(title).id(number))
        for one in shown:
            number += 1
            built = built.with_panel(_panel(one).id(number))
    return built.build()


def _panel(shown: Shown) -> Any:
    panel = _number(shown) if shown.number else _lines(shown)
    panel = (
        panel.title(shown.title)
        .description(shown.description)
        .datasource(SOURCE)
        .unit(shown.unit)
        .span(shown.width)
        .height(shown.height)
        .thresholds(_thresholds(shown))
    )
    if shown.least is not None:
        panel = panel.min(shown.least)
    if shown.most is not None:
        panel = panel.max(shown.most)
    if shown.decimals is not None:
        panel = panel.decimals(shown.decimals)
    if shown.meanings:
        panel = panel.mappings([_meaning(shown.meanings)])
    if shown.links:
        panel = panel.links([dashboard.DashboardLink(title).url(url) for title, url in shown.links.items()])
    for number, (legend, expression) in enumerate(shown.queries.items()):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        panel = panel.with_target(query.instant() if shown.number else query.range())
    return panel


def _lines(shown: Shown) -> Any:
    panel = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(30 if shown.stacked else 8)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
    )
    if shown.stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    if shown.bounds is not None:
        panel = panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphTresholdsStyleMode.LINE)
        )
    return panel


def _number(shown: Shown) -> Any:
    return (
        stat.Panel()
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .color_mode(
            common_models.BigValueColorMode.BACKGROUND if shown.bounds else common_models.BigValueColorMode.VALUE
        )
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _thresholds(shown: Shown) -> dashboard.ThresholdsConfig:
    if shown.bounds is None:
        steps = [models.Threshold(value=None, color=GOOD)]
    else:
        first, second = sorted(shown.bounds)
        colours = (BAD, WARN, GOOD) if shown.falling else (GOOD, WARN, BAD)
        values = (None, first, second)
        steps = [models.Threshold(value=value, color=colour) for value, colour in zip(values, colours, strict=True)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _meaning(meanings: Mapping[str, tuple[str, str]]) -> models.ValueMap:
    return models.ValueMap(
        options={
            value: models.ValueMappingResult(text=word, color=colour, index=index)
            for index, (value, (word, colour)) in enumerate(meanings.items())
        }
    )
