"""A metric against the supervision rate: ours with error bars, the paper's dashed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from data_prep.counted import counted
from pipeline.measures.paper_match import Match
from pipeline.measures.papers import PAPERS
from pipeline.measures.recorded import TEST
from pipeline.measures.summary import Row
from pipeline.measures.variants import short_variants

# Okabe and Ito's colours, distinguishable with any kind of colour blindness; there is one more marker than there are
# colours, so that up to 56 lines differ in one of them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*"
MOST_LINES = len(COLOURS) * len(MARKERS)
"""More could not be told apart, and take seconds to draw."""

_LONGEST_INSIDE, _MOST_INSIDE = 40, 7
"""Maximum length of a line's name, and number of lines, for a legend inside a panel."""
_WRAPPED_AT = 44


def draw_comparison(rows: Sequence[Row], metric: str, path: Path) -> bool:
    """Write a PNG with one panel per data set, with the legend next to them if its names are long or many.

    Returns:
        Whether there is a figure: some row has the metric, and there are at most ``MOST_LINES`` lines.
    """
    rows = [row for row in rows if metric in row.metrics and row.supervision_rate > 0]
    lines = sorted({row.series[1:] for row in rows})
    if not 1 <= len(lines) <= MOST_LINES:
        return False
    from matplotlib.figure import Figure

    datasets = sorted({row.dataset for row in rows})
    figure = Figure(dpi=150, layout="constrained")
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    named: dict[str, Any] = {}
    for panel, dataset in zip(panels, datasets, strict=True):
        _draw_panel(panel, [row for row in rows if row.dataset == dataset], metric, lines)
        panel.set_title(dataset.replace("_", " "))
        named |= {name: handle for handle, name in zip(*panel.get_legend_handles_labels(), strict=True)}
    panels[0].set_ylabel(metric.replace("_", " "))
    width, height = 1.2 + 4.4 * len(datasets), 4.0
    if max(map(len, named)) <= _LONGEST_INSIDE and len(named) <= _MOST_INSIDE * len(datasets):
        for panel in panels:
            panel.legend(fontsize="small", loc="best")
    else:
        names = [fill(name, _WRAPPED_AT, break_long_words=False, break_on_hyphens=False) for name in named]
        figure.legend(list(named.values()), names, loc="outside right upper", fontsize="small")
        width += 3.6
        height = max(height, 0.5 + sum(0.05 + 0.16 * (1 + name.count("\n")) for name in names))
    figure.set_size_inches(width, height)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return True


def _draw_panel(panel: Any, rows: Sequence[Row], metric: str, lines: Sequence[tuple[str, str, str]]) -> None:
    series: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        series[row.series].append(row)
    many_epochs = len({row.epochs for row in rows}) > 1
    rates = {row.supervision_rate for row in rows}
    variants = short_variants(rows)
    # At a single rate all points would overlap.
    apart = 1.05 if len(rates) == 1 else 1.0
    for place, ((dataset, system, variant, epochs), members) in enumerate(sorted(series.items())):
        number = lines.index((system, variant, epochs))
        members.sort(key=lambda row: row.supervision_rate)
        found = [row.metrics[metric] for row in members]
        label = " ".join(
            [system, *variants[variant], *([counted(int(epochs), "epoch")] if many_epochs else [])]
        )
        panel.errorbar(
            [row.supervision_rate * apart ** (place - (len(series) - 1) / 2) for row in members],
            [one.mean for one in found],
            yerr=[one.sd or 0.0 for one in found],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            capsize=3,
            label=f"{label}, ours",
            zorder=3,
        )
        colour = COLOURS[number % len(COLOURS)]
        for match in members[0].papers if found[0].split == TEST else ():
            if curve := match.curve(dataset, metric):
                _draw_paper(panel, match, {rate: row.value for rate, row in curve.items()}, colour)
                rates |= set(curve)
                break
    panel.set_xscale("log")
    panel.set_xticks(sorted(rates), [f"{rate:g}" for rate in sorted(rates)])
    panel.minorticks_off()
    panel.set_xlabel("supervision rate f")
    panel.grid(alpha=0.3)


def _draw_paper(panel: Any, match: Match, curve: dict[float, float], colour: str) -> None:
    """The paper's line, once per panel; deviating settings are in its name."""
    settings = ", ".join(f"{deviation.name}={deviation.paper}" for deviation in match.deviations)
    label = f"{match.setting.model}, {PAPERS[match.setting.paper]}" + (f", {settings}" if settings else "")
    if label not in panel.get_legend_handles_labels()[1]:
        panel.plot(
            list(curve), list(curve.values()), color=colour, linestyle="--", marker="x", label=label, zorder=2
        )
