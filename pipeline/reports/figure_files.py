"""A paper's figure with our pictures as Markdown, and its runs as CSV."""

from __future__ import annotations

import csv
import io
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.counted import counted
from data_prep.program_name import program
from pipeline.measures.short_numbers import short_deviations
from pipeline.reports.paper_figure import PaperFigure, Shown


def copy_pictures(figure: PaperFigure, shown: Sequence[Shown], folder: Path) -> dict[Path, str]:
    """Copy the pictures into a report's folder; returns the name of each there."""
    names = {}
    for each in shown:
        rate = f"-f{each.rate:g}" if len(figure.rates) > 1 else ""
        for file in each.files:
            system = each.run.params.get("model.system", "")
            names[file] = f"{each.data.replace(', ', '-')}-{system}{rate}-{file.name}"
            shutil.copyfile(file, folder / names[file])
    return names


def as_markdown(figure: PaperFigure, shown: Sequence[Shown], names: dict[Path, str]) -> str:
    """The pictures of each run, with what they are; without any, the commands that make them."""
    lines = [f"# {figure.source}: {figure.shows}", ""]
    told = short_deviations(tuple(each.deviations(figure.paper)) for each in shown)
    for each in shown:
        params = each.run.params
        instead = "" if each.data == each.dataset else f", in place of {each.dataset}"
        what = f"{params.get('model.system')} on {each.data}{instead}, f = {each.rate:g}"
        lines += [f"## {what}, {counted(int(params.get('training.epochs', 0)), 'epoch')}", ""]
        lines += [f"![{what}]({names[file]})\n" for file in each.files]
        if deviations := tuple(each.deviations(figure.paper)):
            lines.append(f"- differs from the paper: {told[deviations]}")
        lines += [f"- {reason}" for reason in each.not_applicable]
        if each.missing:
            sweep, measures = each.run.folder.parent.name, shlex.join(each.missing)
            lines.append(f"- trained, but not measured: {program('measure')} {sweep} --measures {measures}")
        lines += [f"- run: {each.run.name} ({each.run.run_id[:8]})", ""]
    lines += [f"- {sentence}" for sentence in _what_is_missing(figure, shown)]
    return "\n".join(lines) + "\n"


def _what_is_missing(figure: PaperFigure, shown: Sequence[Shown]) -> Iterator[str]:
    """The systems without a run on the paper's own data, and the command that trains them."""
    settings = "".join(
        f", {name.rpartition('.')[2]} = {values[0]}" for name, values in figure.settings.items()
    )
    there = {(each.data, each.run.params.get("model.system"), each.rate) for each in shown}
    for dataset in figure.datasets:
        missing = []
        for system in figure.systems:
            have = {rate for data, of, rate in there if (data, of) == (dataset, system)}
            lacking = [rate for rate in figure.rates if rate not in have]
            if lacking and have:
                missing.append(f"{system} at f = {', '.join(f'{rate:g}' for rate in lacking)}")
            elif lacking or not have:
                missing.append(system)
        if missing:
            yield f"no run of {', '.join(missing)} on {dataset}{settings}: {figure.recipes[dataset].command}"


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
