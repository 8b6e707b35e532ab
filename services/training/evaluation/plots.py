"""Evaluation plots, one PNG each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from services.core.contract.use_case import (
    BinaryPrediction,
    MultiClassPrediction,
    Regression,
    RegressionPrediction,
    Subgroup,
    Target,
)
from services.core.scoring.scored_predictions import ScoredPredictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_BLUE, _RED, _GREY, _LIGHT = "#1f5fa8", "#c0392b", "#6b6b6b", "#d9e4f2"
_MOST_BARS, _FEWEST_ROWS, _PER_LINE = 33, 20, 3


def target_plots(item: ScoredPredictions, subgroups: Sequence[tuple[Subgroup, Any]], folder: Path) -> None:
    """Save the plots of one target: residuals and coverage, calibration and precision-recall, or confusion of classes.

    Args:
        item: Scored answers to n test rows.
        subgroups: Each subgroup with the name of every row's value, object (n,) of str.
        folder: Where the PNG files are written.
    """
    if isinstance(item.value, RegressionPrediction):
        _save(_residuals(item, item.value, subgroups), folder / f"{item.name}-residuals.png")
        _save(_coverage(item, item.value, subgroups), folder / f"{item.name}-coverage.png")
    elif isinstance(item.value, BinaryPrediction):
        _save(_calibration(item, item.value), folder / f"{item.name}-calibration.png")
        _save(_precision_recall(item, item.value), folder / f"{item.name}-precision-recall.png")
    else:
        _save(_classes(item, item.value), folder / f"{item.name}-classes.png")


def importance_plot(targets: Sequence[Target], shares: Mapping[str, Mapping[str, float]], folder: Path) -> None:
    """Save a bar chart of each target's most important request fields.

    Args:
        targets: One panel each.
        shares: Target -> request field -> its share, largest first.
        folder: Where ``importance.png`` is written.
    """
    figure, axes = _figure([min(len(shares[target.name]), 12) for target in targets])
    for axis, target in zip(axes, targets, strict=True):
        top = list(shares[target.name].items())[:12][::-1]
        axis.barh([field for field, _ in top], [share for _, share in top], color=_BLUE)
        axis.set_title(target.title.en, fontsize=10)
        axis.set_xlabel("share of total gain")
        axis.margins(y=0.01)
    _save(figure, folder / "importance.png")


# --- quantities -----------------------------------------------------------------------------------


def _residuals(
    item: ScoredPredictions, value: RegressionPrediction, subgroups: Sequence[tuple[Subgroup, Any]]
) -> Figure:
    """How far and in which direction the model misses, by each subgroup."""
    unit = item.target.output.unit if isinstance(item.target.output, Regression) else ""
    middle, error = (_median, _median_error) if item.target.metric == "mae" else (_mean, _mean_error)
    residual = item.label - value.value
    shown = [(subgroup, *_grouped(words)) for subgroup, words in subgroups]
    figure, axes = _figure([12, *(len(names) for _, names, _ in shown)])
    low, high = np.quantile(residual, (0.005, 0.995))
    axes[0].hist(np.clip(residual, low, high), bins=60, color=_BLUE)
    axes[0].axvline(0, color=_GREY, linewidth=1)
    axes[0].set_title(f"{item.target.title.en}: actual minus predicted", fontsize=10)
    axes[0].set_xlabel(f"{unit} (0.5 % beyond each end drawn at the end)")
    axes[0].set_ylabel("test rows")
    for axis, (subgroup, names, members) in zip(axes[1:], shown, strict=True):
        place = np.arange(len(names))
        axis.barh(place, [np.abs(residual[rows]).mean() for rows in members], color=_LIGHT, label="mean absolute")
        axis.errorbar(
            [middle(residual[rows]) for rows in members],
            place,
            xerr=[error(residual[rows]) for rows in members],
            fmt="o",
            color=_RED,
            markersize=4,
            label=f"{middle.__name__[1:]} (95 %)",
        )
        axis.axvline(0, color=_GREY, linewidth=1)
        axis.set_yticks(place, [f"{name} ({len(rows):,})" for name, rows in zip(names, members, strict=True)])
        axis.tick_params(axis="y", labelsize=8)
        axis.invert_yaxis()
        axis.margins(y=0.01)
        axis.set_title(f"by {subgroup.title.en.lower()} (rows)", fontsize=10)
        axis.set_xlabel(unit)
    if shown:
        axes[1].legend(fontsize=8, loc="lower right")
    return figure


def _mean(values: Floats) -> float:
    return float(values.mean())


def _mean_error(values: Floats) -> float:
    return float(1.96 * values.std() / len(values) ** 0.5)


def _median(values: Floats) -> float:
    return float(np.median(values))


def _median_error(values: Floats) -> float:
    """Half width of a median's 95 % interval: 1.57 IQR / sqrt(n) (McGill, Tukey and Larsen 1978)."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float(1.57 * (high - low) / len(values) ** 0.5)


def _coverage(
    item: ScoredPredictions, value: RegressionPrediction, subgroups: Sequence[tuple[Subgroup, Any]]
) -> Figure:
    """Draw the interval's empirical coverage, by size of the prediction and by subgroup."""
    promised = item.target.output.coverage if isinstance(item.target.output, Regression) else 0.9
    covered = (item.label >= value.lower) & (item.label <= value.upper)
    shown = [(subgroup.title.en.lower(), *_grouped(words)) for subgroup, words in subgroups]
    tenth = np.minimum(np.argsort(np.argsort(value.value, kind="stable")) * 10 // len(covered), 9)
    parts = [np.flatnonzero(tenth == number) for number in range(10)]
    filled = [rows for rows in parts if len(rows)]
    shown.insert(0, ("mean prediction, tenths", [f"{value.value[rows].mean():,.0f}" for rows in filled], filled))
    figure, axes = _figure([len(names) for _, names, _ in shown])
    for axis, (title, names, members) in zip(axes, shown, strict=True):
        rates = np.array([covered[rows].mean() for rows in members])
        errors = _intervals(rates, members)
        place = np.arange(len(names))
        axis.errorbar(rates, place, xerr=np.abs(errors - rates), fmt="o", color=_BLUE, markersize=4, capsize=2)
        axis.axvline(promised, color=_RED, linewidth=1, label=f"promised {promised:.0%}")
        axis.axvline(covered.mean(), color=_GREY, linewidth=1, linestyle="--", label=f"overall {covered.mean():.1%}")
        axis.set_yticks(place, names)
        axis.tick_params(axis="y", labelsize=8)
        axis.invert_yaxis()
        axis.set_xlim(min(0.75, float(errors.min()) - 0.01), 1.0)
        axis.set_title(f"{item.target.title.en}: coverage by {title}", fontsize=10)
        axis.set_xlabel("share of outcomes inside (95 % bars)")
    axes[0].legend(fontsize=8, loc="lower left")
    return figure


# --- probabilities --------------------------------------------------------------------------------


def _calibration(item: ScoredPredictions, value: BinaryPrediction) -> Figure:
    chance = np.asarray(value.probability)
    figure, (left, right) = _figure([13, 13])
    bins = np.searchsorted(np.sort(chance), chance) * 15 // len(chance)
    parts = [np.flatnonzero(bins == number) for number in np.unique(bins)]
    said = np.array([chance[rows].mean() for rows in parts])
    came = np.array([item.label[rows].mean() for rows in parts])
    bars = _intervals(came, parts)
    left.plot([0, 1], [0, 1], color=_GREY, linewidth=1)
    left.errorbar(said, came, yerr=np.abs(bars - came), fmt="o", color=_BLUE, markersize=4, capsize=2)
    left.axvline(value.threshold, color=_RED, linewidth=1, label=f"threshold {value.threshold:.2f}")
    left.set_title(f"{item.target.title.en}: said and came true", fontsize=10)
    left.set_xlabel("predicted probability (15 bins of equal mass)")
    left.set_ylabel("share that came true (95 % bars)")
    left.legend(fontsize=8, loc="upper left")
    edges = np.linspace(0, 1, 41).tolist()
    right.hist(chance[item.label < 0.5], bins=edges, color=_BLUE, alpha=0.65, label="did not happen")
    right.hist(chance[item.label >= 0.5], bins=edges, color=_RED, alpha=0.65, label="happened")
    right.set_title("How often each probability is said", fontsize=10)
    right.set_xlabel("predicted probability")
    right.set_ylabel("test rows")
    right.legend(fontsize=8, loc="upper center")
    return figure


def _precision_recall(item: ScoredPredictions, value: BinaryPrediction) -> Figure:
    order = np.argsort(-np.asarray(value.probability), kind="stable")
    hits = np.cumsum(item.label[order] > 0.5)
    positives = max(int(hits[-1]), 1)
    answered = np.arange(1, len(order) + 1)
    precision, recall = hits / answered, hits / positives
    at = int(np.sum(np.asarray(value.decision))) - 1
    figure, (axis,) = _figure([13])
    thin = np.unique(np.linspace(0, len(order) - 1, 800).astype(np.int64))
    axis.plot(recall[thin], precision[thin], color=_BLUE)
    axis.axhline(positives / len(order), color=_GREY, linewidth=1, label=f"base rate {positives / len(order):.2f}")
    if at >= 0:
        label = f"threshold {value.threshold:.2f}: precision {precision[at]:.2f}, recall {recall[at]:.2f}"
        axis.plot(recall[at], precision[at], "o", color=_RED, label=label)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
    axis.set_title(f"{item.target.title.en}: precision and recall", fontsize=10)
    axis.set_xlabel("recall")
    axis.set_ylabel("precision")
    axis.legend(fontsize=8, loc="lower left")
    return figure


# --- classes --------------------------------------------------------------------------------------


def _classes(item: ScoredPredictions, value: MultiClassPrediction) -> Figure:
    labels, chance = value.labels, np.asarray(value.probabilities)
    truth, said = item.label.astype(np.int64), chance.argmax(axis=1)
    matrix = np.zeros((len(labels), len(labels)))
    np.add.at(matrix, (truth, said), 1)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure, (left, right) = _figure([max(13, len(labels))] * 2)
    left.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(labels) <= 10:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if share[row, column] > 0.5 else "black"
            left.text(column, row, f"{count:,.0f}", ha="center", va="center", fontsize=8, color=colour)
    left.set_xticks(range(len(labels)), labels, rotation=90 if len(labels) > 10 else 0, fontsize=8)
    left.set_yticks(range(len(labels)), labels, fontsize=8)
    left.set_xlabel("predicted")
    left.set_ylabel("actual (shade: share of its row)")
    left.set_title(f"{item.target.title.en}: test rows", fontsize=10)
    place = np.arange(len(labels))
    right.barh(place - 0.2, np.bincount(truth, minlength=len(labels)) / len(truth), 0.4, color=_GREY, label="actual")
    right.barh(place + 0.2, chance.mean(axis=0), 0.4, color=_BLUE, label="mean probability")
    right.set_yticks(place, labels, fontsize=8)
    right.invert_yaxis()
    right.set_xlabel("share")
    right.set_title("How often each class comes and is expected", fontsize=10)
    right.legend(fontsize=8, loc="lower right")
    return figure


# --- drawing --------------------------------------------------------------------------------------
# Legends have a fixed place: to find the best one takes matplotlib long on a busy machine, and it then warns.


def _grouped(words: NDArray[np.object_]) -> tuple[list[str], list[NDArray[np.int64]]]:
    """The most frequent groups with enough rows, in the order of their names."""
    names, codes, counts = np.unique(words.astype(str), return_inverse=True, return_counts=True)
    frequent = np.sort(np.argsort(-counts, kind="stable")[:_MOST_BARS]).tolist()
    chosen = [number for number in frequent if counts[number] >= min(_FEWEST_ROWS, counts.max())]
    if all(_is_number(names[number]) for number in chosen):
        chosen.sort(key=lambda number: float(names[number]))
    return [str(names[number]) for number in chosen], [np.flatnonzero(codes == number) for number in chosen]


def _is_number(word: str) -> bool:
    return word.replace(".", "", 1).lstrip("-").isdigit()


def _intervals(shares: NDArray[np.float64], parts: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Wilson's 95 % intervals (2, k) of the shares (k,) of these rows (Wilson 1927)."""
    sizes = np.array([len(rows) for rows in parts])
    return np.array(proportion_confint(shares * sizes, sizes, method="wilson"))


def _figure(bars: Sequence[int]) -> tuple[Figure, list[Axes]]:
    """A panel for each entry, three to a line, each line as high as its panel with the most bars needs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines = [bars[start : start + _PER_LINE] for start in range(0, len(bars), _PER_LINE)]
    heights = [max(2.6, 1.1 + 0.24 * max(line)) for line in lines]
    across = min(len(bars), _PER_LINE)
    figure = Figure(figsize=(5.4 * across, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(lines), across, squeeze=False, height_ratios=heights).ravel().tolist()
    for axis in axes[len(bars) :]:
        axis.set_visible(False)
    return figure, axes[: len(bars)]


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=80)
