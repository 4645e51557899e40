"""A paper's figure with our pictures as Markdown, and its runs as CSV."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.reports.paper_figure import PaperFigure, Shown


def copy_pictures(shown: Sequence[Shown], folder: Path) -> dict[Path, str]:
    """Copy the pictures into a report's folder; returns the name of each there."""
    names = {}
    for each in shown:
        for file in each.files:
            names[file] = f"{each.data}-{each.run.params.get('model.system', '')}-{file.name}"
            shutil.copyfile(file, folder / names[file])
    return names


def as_markdown(figure: PaperFigure, shown: Sequence[Shown], names: dict[Path, str]) -> str:
    """The pictures of each run, with what they are; without any, the commands that make them."""
    lines = [f"# {figure.source}: {figure.shows}", ""]
    for each in shown:
        params = each.run.params
        what = f"{params.get('model.system')} on {each.data}, f = {params.get('data.supervision_rate')}"
        lines += [f"## {what}, {params.get('training.epochs')} epochs", ""]
        lines += [f"![{what}]({names[file]})" for file in each.files]
        if not each.files:
            sweep = each.run.folder.parent.name
            lines.append(
                f"trained, but not measured: python launch/measure.py {sweep} --measures {figure.measure}"
            )
        lines += ["", f"- run: {each.run.name} ({each.run.run_id[:8]})", ""]
    there = {(each.data, each.run.params.get("model.system")) for each in shown}
    for dataset in figure.datasets:
        missing = [system for system in figure.systems if (dataset, system) not in there]
        if missing:
            lines.append(f"- no run of {', '.join(missing)} on {dataset}: {figure.recipes[dataset].command}")
    return "\n".join(lines) + "\n"


def as_csv(figure: PaperFigure, shown: Sequence[Shown]) -> str:
    """One line per run, with the numbers of its measures."""
    metrics = sorted({name for each in shown for name in each.run.metrics})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["report", "data", "system", "supervision_rate", "epochs", "run", "run_id", *metrics])
    for each in shown:
        params = each.run.params
        told = [params.get(name, "") for name in ("model.system", "data.supervision_rate", "training.epochs")]
        numbers = [each.run.metrics.get(name, "") for name in metrics]
        writer.writerow([figure.name, each.data, *told, each.run.name, each.run.run_id, *numbers])
    return text.getvalue()
