"""The timeline in a file of its own, and as a picture, for ``docs/closed-loop.md``."""

from __future__ import annotations

import os
from pathlib import Path

from tests.closed_loop.driver import Timeline

_COLOURS = ("#bc4c00", "#1a7f37")
_FEW = 5
"""Fewer calls of a day are no point of the picture."""
FOLDER = "VIGIE_CLOSED_LOOP"
"""Environment variable: where timelines and pictures are written."""


def write(made: Timeline) -> None:
    """Nothing without the variable."""
    if not os.environ.get(FOLDER):
        return
    folder = Path(os.environ[FOLDER])
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{made.use_case}-{made.scenario}"
    figures = [
        f"area: {made.area}",
        f"error there before {made.before}, at its worst {made.worst}, after {made.after}",
        f"retrainings by signal on days {[round(day, 1) for day in made.retrainings]}",
        f"versions: {[(round(day, 1), number) for day, number in made.promotions]}",
        f"alerts: {made.alerts}",
        f"calls: {made.calls}",
        *(f"day {item.day}, version {item.version}: {item.error:.1f} on {item.calls} calls" for item in made.served),
    ]
    (folder / f"{name}.md").write_text("\n".join([*figures, "", *made.lines(), ""]), encoding="utf-8")
    picture(made, folder / f"{name}.svg")


def picture(made: Timeline, path: Path) -> None:
    """The champion's error over all calls of the window, and in the area what callers got day by day (else what looks
    said of it), with what was done about it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.6), layout="constrained")
    days = [seen.day for seen in made.looks]
    axes.plot(days, [seen.error for seen in made.looks], label="all calls", color="#57606a")
    if made.served:
        versions = sorted({item.version for item in made.served})
        for color, version in zip(_COLOURS, (versions[0], versions[-1]), strict=True):
            mine = [item for item in made.served if item.version == version and item.calls >= _FEW]
            label = f"{made.area[1] if made.area else ''}, version {version}, day by day"
            axes.plot([item.day + 0.5 for item in mine], [item.error for item in mine], "o-", color=color, label=label)
    elif made.area is not None:
        there = [seen.area_error for seen in made.looks]
        axes.plot(days, there, label=f"{made.area[0]} {made.area[1]}", color="#bc4c00", marker="o", markersize=3)
    for day in made.retrainings:
        axes.axvline(day, color="#0969da", linestyle=":", label="retraining by signal")
    for day, number in made.promotions:
        axes.axvline(day, color="#1a7f37", label=f"version {number} serves")
    axes.set(xlabel="day of the calls", ylabel="error", ylim=(0, None), title=f"{made.use_case}, {made.scenario}")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), fontsize="small", loc="upper left")
    figure.savefig(path)
    pyplot.close(figure)
