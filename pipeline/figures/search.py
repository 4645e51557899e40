"""Figures of a search: its history, and where in the space its trials were good."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from pipeline.figures.comparison import COLOURS

_TRIAL, _BEST, _PRUNED = COLOURS[0], COLOURS[1], "#999999"
_FEWEST_FOR_A_CONTOUR = 6


@dataclass(frozen=True, slots=True)
class PlottedTrial:
    """A trial with a number."""

    number: int
    value: float
    is_pruned: bool
    params: Mapping[str, Any]


def draw_history(trials: Sequence[PlottedTrial], label: str, path: Path, *, is_maximised: bool) -> None:
    """Write a PNG of each trial's number, and of the best so far; pruned trials at the value at which they ended."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.0, 4.0), dpi=150, layout="constrained")
    panel = figure.subplots()
    complete = [trial for trial in trials if not trial.is_pruned]
    pruned = [trial for trial in trials if trial.is_pruned]
    panel.plot(
        [trial.number for trial in complete],
        [trial.value for trial in complete],
        "o",
        color=_TRIAL,
        label="trial",
    )
    if pruned:
        panel.plot(
            [trial.number for trial in pruned],
            [trial.value for trial in pruned],
            "x",
            color=_PRUNED,
            label="pruned",
        )
    best = list(accumulate((trial.value for trial in complete), max if is_maximised else min))
    panel.step([trial.number for trial in complete], best, where="post", color=_BEST, label="best so far")
    panel.set_xlabel("trial")
    panel.set_ylabel(label)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend(fontsize="small")
    figure.savefig(path)


def draw_landscape(
    trials: Sequence[PlottedTrial],
    importances: Mapping[str, float],
    label: str,
    path: Path,
    logarithmic: Collection[str] = (),
) -> None:
    """Write a PNG of the fields' importance, and of the objective over the two most important ones (or over the only one).

    Args:
        trials: pruned ones are left out, for their number is of a shorter training.
        importances: field → its share, the most important first.
        label: what the objective is called.
        path: the PNG.
        logarithmic: fields with a logarithmic axis.
    """
    from matplotlib.figure import Figure

    complete = [trial for trial in trials if not trial.is_pruned]
    fields = list(importances)
    several = len(fields) > 1
    figure = Figure(figsize=(9.5 if several else 5.5, 4.0), dpi=150, layout="constrained")
    panels = figure.subplots(1, 2, squeeze=False, width_ratios=(2, 3))[0] if several else [figure.subplots()]
    if several:
        _draw_importances(panels[0], importances)
        _draw_pair(figure, panels[1], complete, (fields[0], fields[1]), label, logarithmic)
    elif fields:
        values = _positions(panels[0].xaxis, complete, fields[0], logarithmic)
        panels[0].plot(values, [trial.value for trial in complete], "o", color=_TRIAL)
        panels[0].set_xlabel(_name(fields[0]))
        panels[0].set_ylabel(label)
    figure.savefig(path)


def _draw_importances(panel: Any, importances: Mapping[str, float]) -> None:
    names = [_name(field) for field in importances]
    panel.barh(names, list(importances.values()), color=_TRIAL)
    panel.invert_yaxis()
    panel.set_xlim(0, 1)
    panel.set_xlabel("importance" if any(importances.values()) else "importance (too few trials yet)")


def _draw_pair(
    figure: Any,
    panel: Any,
    trials: Sequence[PlottedTrial],
    fields: tuple[str, str],
    label: str,
    logarithmic: Collection[str],
) -> None:
    """Filled contours between the trials, where there are enough of them, and the trials themselves."""
    across = _positions(panel.xaxis, trials, fields[0], logarithmic)
    up = _positions(panel.yaxis, trials, fields[1], logarithmic)
    values = [trial.value for trial in trials]
    panel.use_sticky_edges = False  # else the outermost trials would be cut
    if len(trials) >= _FEWEST_FOR_A_CONTOUR and min(values) < max(values):
        with suppress(RuntimeError, ValueError):  # all on one line: there is nothing between them
            panel.tricontourf(across, up, values, levels=12, cmap="viridis", alpha=0.7)
    points = panel.scatter(across, up, c=values, cmap="viridis", edgecolors="black", linewidths=0.6, zorder=2)
    figure.colorbar(points, ax=panel, label=label)
    panel.set_xlabel(_name(fields[0]))
    panel.set_ylabel(_name(fields[1]))


def _positions(
    axis: Any, trials: Sequence[PlottedTrial], field: str, logarithmic: Collection[str]
) -> list[float]:
    """Where the trials are on an axis: at their numbers or logarithms, or at ticks that are named by the choices."""
    values = [trial.params[field] for trial in trials]
    if not all(isinstance(value, int | float) for value in values):
        choices = sorted(set(map(str, values)))
        axis.set_ticks(range(len(choices)), choices)
        return [float(choices.index(str(value))) for value in values]
    if field not in logarithmic:
        return [float(value) for value in values]
    # Not matplotlib's scale: the contours' triangles are made of these positions.
    least, most = min(values, default=1.0), max(values, default=1.0)
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    ticks = [tick for power in powers for tick in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)]
    shown = [tick for tick in ticks if least <= tick <= most] or [least, most]
    axis.set_ticks([math.log10(tick) for tick in shown], [f"{tick:.3g}" for tick in shown])
    return [math.log10(value) for value in values]


def _name(field: str) -> str:
    return field.rpartition(".")[2].replace("_", " ")
