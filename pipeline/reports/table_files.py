"""A paper's table with our numbers as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from data_prep.program_name import program
from pipeline.measures.paper_match import Deviation
from pipeline.measures.papers import MEASURED_BY
from pipeline.measures.reader_metrics import READER_ACCURACY
from pipeline.measures.registry import MEASURES, measure_named
from pipeline.measures.short_numbers import short_deviations
from pipeline.measures.tables import mean_and_sd
from pipeline.reports.paper_table import Entry, Panel, PaperTable
from pipeline.reports.significance import FEWEST

CSV_HEADER = (
    *("report", "metric", "data", "paper_data", "model", "setting"),
    *(
        "mean",
        "sd",
        "n",
        "paper",
        "paper_sd",
        "difference",
        "p_against_first_row",
        "differs_in",
        "chosen",
        "runs",
        "run_ids",
    ),
)


def as_csv(table: PaperTable, found: Sequence[Panel]) -> str:
    """One line per number of the paper."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_HEADER, restval="", lineterminator="\n")
    writer.writeheader()
    for panel in found:
        p_values = {id(other): p for _, other, p in panel.compared() if p is not None}
        for entry in panel.entries:
            printed, ours = entry.printed, entry.ours
            line: dict[str, object] = {
                "report": table.name,
                "metric": printed.metric,
                "data": panel.data,
                "paper_data": printed.dataset,
                "model": printed.model,
                "setting": printed.setting,
                "paper": printed.value,
                "paper_sd": "" if printed.sd is None else printed.sd,
                "p_against_first_row": p_values.get(id(entry), ""),
                "differs_in": "; ".join(map(str, entry.deviations)),
                "chosen": entry.chosen,
                "runs": " ".join(run.name for run in entry.runs),
                "run_ids": " ".join(run.run_id for run in entry.runs),
            }
            if ours is not None:
                sd = "" if ours.sd is None else ours.sd
                line |= {"mean": ours.mean, "sd": sd, "n": ours.n, "difference": ours.mean - printed.value}
            writer.writerow(line)
    return text.getvalue()


def as_markdown(table: PaperTable, found: Sequence[Panel]) -> str:
    """A table per data set and metric, in the paper's rows and columns, with notes below each."""
    lines = [f"# {table.source}: {table.shows}", ""]
    for panel in found:
        heading, *rows = arranged(panel)
        lines += [f"## {title_of(panel)}", ""]
        lines.append("| | | " + " | ".join(heading[2:]) + " |")
        lines.append("| --- | --- | " + " | ".join(["---:"] * len(panel.settings)) + " |")
        for model, which, *cells in rows:
            lines.append(f"| {model if which == 'ours' else ''} | {which} | {' | '.join(cells)} |")
        lines += ["", *(f"- {note}" for note in notes_of(table, panel)), ""]
    return "\n".join(lines)


def title_of(panel: Panel) -> str:
    """The metric and the data."""
    data = panel.data if panel.data == panel.dataset else f"{panel.data}, in place of {panel.dataset}"
    return f"{panel.metric} on {data}"


def arranged(panel: Panel) -> list[list[str]]:
    """In the paper's rows and columns: a heading, then for each system ours, the paper's number and the difference."""
    marks = _marks(panel)
    rows = [["system", "", *panel.settings]]
    for model in panel.models:
        entries = [panel.entry(model, setting) for setting in panel.settings]
        for heading, cell in (("ours", _ours), ("paper", _paper), ("difference", _difference)):
            cells = ["" if entry is None else cell(entry, marks) for entry in entries]
            rows.append([model, heading, *cells])
    return rows


def notes_of(table: PaperTable, panel: Panel) -> list[str]:
    """What ours are, in what they differ from the paper's, the runs, and the commands for what is missing."""
    return [*_notes(panel, _marks(panel)), *_what_is_missing(table, panel)]


def _ours(entry: Entry, marks: dict[tuple[Deviation, ...], str]) -> str:
    if entry.ours is None:
        return ""
    mark = f" {marks[entry.deviations]}" if entry.deviations else ""
    return f"{mean_and_sd(entry.ours)} (n={entry.ours.n}){mark}"


def _paper(entry: Entry, _: object) -> str:
    return str(entry.printed)


def _difference(entry: Entry, _: object) -> str:
    return "" if entry.ours is None else f"{entry.ours.mean - entry.printed.value:+.3f}"


def _marks(panel: Panel) -> dict[tuple[Deviation, ...], str]:
    """A letter for each set of deviations."""
    different = dict.fromkeys(entry.deviations for entry in panel.entries if entry.deviations)
    return {deviations: f"({chr(ord('a') + number)})" for number, deviations in enumerate(different)}


def _notes(panel: Panel, marks: dict[tuple[Deviation, ...], str]) -> list[str]:
    """What ours are, in what they differ from the paper's, whether systems differ, and the runs."""
    if not any(entry.ours for entry in panel.entries):
        return []
    notes = ["ours: mean ± standard deviation over n runs of different seeds, on split test"]
    notes += _who_reads(panel)
    notes += _earlier_versions(panel)
    told = short_deviations(marks)
    notes += [f"{mark} differs from the paper: {told[each]}" for each, mark in marks.items()]
    chosen = dict.fromkeys((e.printed.model, e.chosen) for e in panel.entries if e.chosen)
    notes += [f"{model}: {which}" for model, which in chosen]
    compared = list(panel.compared())
    for first, other, p in compared:
        if p is not None:
            name = f"{first.printed.model} and {other.printed.model} at {other.printed.setting}"
            notes.append(
                f"Mann–Whitney, {name}: p = {p:.3g} (n = {len(first.values)} and {len(other.values)})"
            )
    if any(p is None for *_, p in compared):
        notes.append(f"systems with fewer than {FEWEST} runs are not compared: too few seeds")
    columns: dict[tuple[str, str], list[str]] = {}
    for entry in panel.entries:
        if entry.runs:
            ids = ", ".join(f"{run.name} ({run.run_id[:8]})" for run in entry.runs)
            columns.setdefault((entry.printed.model, ids), []).append(entry.printed.setting)
    return [*notes, *(f"{model} at {', '.join(each)}: {ids}" for (model, ids), each in columns.items())]


def _who_reads(panel: Panel) -> list[str]:
    """The label readers that judged the pictures, with how often they are right; nothing for metrics without."""
    measure = _measure_of(panel.metric)
    if measure is None or "label_readers" not in measure_named(measure).needs.extras:
        return []
    notes: dict[str, None] = {}
    for run in (run for entry in panel.entries for run in entry.runs):
        result = run.newest_result(measure)
        if result is None:
            continue
        names = result.key.rests_on.get("label_readers", "").split("+")
        who = f"{len(names)} label readers" if len(names) > 1 else "one quickly trained label reader"
        quality = result.numbers.get(READER_ACCURACY)
        right = "" if quality is None else f", right on {quality.value:.3f} of the known labels"
        notes[f"what pictures show is read by {who}{right}"] = None
    return list(notes)


def _earlier_versions(panel: Panel) -> list[str]:
    """Sweeps whose numbers are of an earlier version of the measure, which are not to be compared with today's."""
    measure = _measure_of(panel.metric)
    if measure is None:
        return []
    now = measure_named(measure).version
    found: dict[tuple[str, int], None] = {}
    for run in {run.name: run for entry in panel.entries for run in entry.runs}.values():
        result = run.newest_result(measure)
        if result is not None and result.key.version < now:
            found[run.folder.parent.name, result.key.version] = None
    return [
        f"{sweep} was measured by version {version} of {measure.partition(':')[0]}, which has version {now} now:"
        f" python launch/measure.py {sweep} --measures {measure}"
        for sweep, version in sorted(found)
    ]


def _measure_of(metric: str) -> str | None:
    """The measure, as a command line names it."""
    if metric in MEASURED_BY:
        return MEASURED_BY[metric]
    return next((name for name, kind in MEASURES.items() if metric in kind.metrics), None)


def _what_is_missing(table: PaperTable, panel: Panel) -> list[str]:
    """The commands that train or measure what has no number."""
    empty = [entry for entry in panel.entries if entry.ours is None]
    if not empty:
        return []
    unmeasured = sorted({run.folder.parent.name for entry in empty for run in entry.unmeasured})
    said = []
    measure = _measure_of(panel.metric)
    if unmeasured and measure is not None:
        said += [
            f"trained, but not measured: {program('measure')} {sweep} --measures {measure}"
            for sweep in unmeasured
        ]
    untrained = [entry for entry in empty if not entry.unmeasured]
    if untrained:
        command = table.recipes[panel.dataset].command
        said.append(f"{len(untrained)} of {len(panel.entries)} numbers have no run: {command}")
    return said
