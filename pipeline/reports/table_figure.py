"""A paper's table as a figure: ours with error bars next to the paper's numbers."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from pipeline.figures.comparison import COLOURS, MARKERS
from pipeline.measures.registry import MEASURES
from pipeline.reports.paper_table import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEGEND = 1.9
"""Inches to the right of the panels."""
_BETTER = {name: metric.better for kind in MEASURES.values() for name, metric in kind.metrics.items()}


def draw_paper_table(panels: list[Panel], title: str, path: Path) -> bool:
    """Write a PNG with one panel per data set and metric that has runs; whether there was any."""
    shown = [panel for panel in panels if any(entry.ours for entry in panel.entries)]
    if not shown:
        return False
    from matplotlib.figure import Figure  # takes long, and most who import this draw nothing

    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    width = 4.2 * columns
    figure = Figure(figsize=(_LEGEND + width, 0.8 + 3.3 * rows), dpi=150, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for place, panel in enumerate(shown):
        _draw(axes.flat[place], panel)
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    lines = {
        name: line for ax in axes.flat for line, name in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(lines.values(), lines.keys(), loc="outside right upper", fontsize=7)
    centre = width / 2 / (_LEGEND + width)  # of the panels; the legend is next to them
    figure.suptitle(fill(title, 60 * columns), fontsize=9, x=centre)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return True


def _draw(ax: Axes, panel: Panel) -> None:
    between = min(0.12, 0.7 / len(panel.models))  # so that columns stay apart
    for number, model in enumerate(panel.models):
        shift = between * (number - (len(panel.models) - 1) / 2)
        # As many markers as colours or more, so that lines of one colour have different markers.
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        printed, ours = [], []
        for column, setting in enumerate(panel.settings):
            entry = panel.entry(model, setting)
            if entry is None:
                continue
            printed.append((column + shift, entry.printed.value))
            if entry.ours is not None:
                ours.append((column + shift, entry.ours.mean, entry.ours.sd or 0.0))
        ax.plot(
            *zip(*printed, strict=True),
            linestyle="--",
            marker=marker,
            markerfacecolor="none",
            markersize=5,
            color=colour,
            alpha=0.6,
            label=f"{model}, paper",
        )
        if ours:
            x, mean, sd = zip(*ours, strict=True)
            ax.errorbar(
                x, mean, yerr=sd, marker=marker, markersize=5, color=colour, capsize=3, label=f"{model}, ours"
            )
    data = panel.data if panel.data == panel.dataset else f"{panel.data} (paper: {panel.dataset})"
    better = _BETTER.get(panel.metric.partition("/")[0], "none")
    which = "" if better == "none" else f" ({better} is better)"
    heading = f"{panel.metric.replace('_', ' ')}{which}\n{fill(data.replace('_', ' '), 50)}"
    ax.set_title(heading, fontsize=8)
    ax.set_xticks(range(len(panel.settings)), panel.settings, fontsize=7)
    ax.tick_params(axis="y", labelsize=7)
    ax.grid(alpha=0.3)
