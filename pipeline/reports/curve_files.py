"""A figure of recorded terms as Markdown, CSV and a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

from pipeline.figures.comparison import COLOURS
from pipeline.reports.finished import FinishedRun
from pipeline.reports.paper_curves import Curve, PaperCurves


def as_markdown(
    figure: PaperCurves, found: Sequence[Curve], without: Sequence[FinishedRun], picture: str
) -> str:
    """A line per run, and the picture if there is one; the commands for what is missing."""
    lines = [f"# {figure.source}: {figure.shows}", ""]
    if found:
        lines += [
            "| data | | seed | epochs | mean | sd between steps | sd / mean |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for curve in found:
            params = curve.run.params
            data = (
                curve.run.data if curve.run.data == curve.dataset else f"{curve.run.data} ({curve.dataset})"
            )
            numbers = f"{curve.mean:.4g} | {curve.deviation:.4g} | {curve.deviation / curve.mean:.3g}"
            seed, epochs = params.get("seed", "0"), params.get("training.epochs")
            lines.append(f"| {data} | {curve.contender} | {seed} | {epochs} | {numbers} |")
        lines += ["", f"![{figure.shows}]({picture})", ""]
        lines += [f"- run: {curve.run.name} ({curve.run.run_id[:8]})" for curve in found]
    lines += [f"- {run.name} was trained before {figure.term} was recorded" for run in without]
    lines += [f"- {sentence}" for sentence in _missing(figure, found)]
    return "\n".join(lines) + "\n"


def _missing(figure: PaperCurves, found: Sequence[Curve]) -> Iterator[str]:
    there = {(curve.run.data, curve.contender) for curve in found}
    for dataset, recipes in figure.recipes.items():
        missing = [name for name in figure.contenders if (dataset, name) not in there]
        if missing:
            yield f"no run on {dataset} of: {', '.join(missing)}: {recipes.command}"


def as_csv(figure: PaperCurves, found: Sequence[Curve]) -> str:
    """A line per point of each curve."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["report", "data", "contender", "seed", "run", "run_id", "step", "mean", "sd"])
    for curve in found:
        run = curve.run
        told = [figure.name, run.data, curve.contender, run.params.get("seed", "0"), run.name, run.run_id]
        writer.writerows(
            [*told, *point] for point in zip(curve.steps, curve.means, curve.deviations, strict=True)
        )
    return text.getvalue()


def draw_curves(figure: PaperCurves, found: Sequence[Curve], path: Path) -> bool:
    """Write a PNG with a panel per data set, a band of one standard deviation around each curve; whether there is any."""
    if not found:
        return False
    from matplotlib.figure import Figure  # takes long, and most who import this draw nothing

    datasets = list(dict.fromkeys(curve.run.data for curve in found))
    drawing = Figure(figsize=(1 + 5 * len(datasets), 3.6), dpi=150, layout="constrained")
    panels = drawing.subplots(1, len(datasets), squeeze=False)[0]
    for ax, data in zip(panels, datasets, strict=True):
        named: set[str] = set()
        for curve in (each for each in found if each.run.data == data):
            colour = COLOURS[list(figure.contenders).index(curve.contender)]
            points = list(zip(curve.means, curve.deviations, strict=True))
            label = None if curve.contender in named else curve.contender
            named.add(curve.contender)
            ax.plot(curve.steps, curve.means, color=colour, linewidth=1, label=label)
            ax.fill_between(
                curve.steps,
                [max(mean - sd, 0.0) for mean, sd in points],
                [mean + sd for mean, sd in points],
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
        ax.set_yscale("log" if min(min(each.means) for each in found) > 0 else "linear")
        ax.set_xlabel("step", fontsize=8)
        ax.set_ylabel(figure.term.replace("_", " ").replace("/", " of the "), fontsize=8)
        ax.set_title(data.replace("_", " "), fontsize=8)
        ax.tick_params(labelsize=7)
        ax.grid(alpha=0.3)
        ax.legend(fontsize=7)
    drawing.suptitle(fill(f"{figure.source}: {figure.shows}", 60 * len(datasets)), fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path)
    return True
