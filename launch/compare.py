"""Runs next to the papers' values: ``python launch/compare.py``; its numbers come from MLflow only."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

if not __package__:  # run as a file: Python then searches launch/, not the root of the code
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_prep.errors import TrackingError, report_user_errors
from data_prep.start_up import imports_are_done
from launch.command_line import parsed
from launch.terminal_table import print_notes, print_table
from pipeline.figures.comparison import draw_comparison
from pipeline.measures.notes import unmeasured
from pipeline.measures.summary import Row, metric_names, summarise
from pipeline.measures.tables import (
    as_csv,
    as_markdown,
    splits_of,
)
from pipeline.tracking import cells_with_state, public_uri, sync, tracking_uri
from pipeline.tracking.runs import RecordedRun, list_sweeps, read_sweep


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Show the runs of a sweep: mean and standard deviation over seeds, next to the papers' values.

    Only runs that are trained and measured count, one with a failed measure too. Everything is read from MLflow, so the
    folders of the runs may be gone.
    """

    sweep: str | None = None
    """name of the sweep (default: the newest that has a finished run)"""
    runs: Path = Path("runs")
    """folder of the runs; its mlflow.db is read unless MLFLOW_TRACKING_URI names another store"""
    out: Path | None = None
    """folder for table.csv, table.md and the figure (default: RUNS/SWEEP/comparison)"""
    csv: Path | None = None
    """write the CSV here too"""
    list: bool = False
    """name the sweeps of the store, and do nothing else"""
    sync: bool = False
    """first upload what runs could not upload because the MLflow server was down"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with report_user_errors():
        compare(parsed(Compare, arguments, prog="python launch/compare.py"))


def compare(options: Compare) -> None:
    """Print the table of a sweep and write its files.

    Raises:
        TrackingError: no such store, or no such sweep.
    """
    console = Console()
    uri = tracking_uri(None, options.runs)
    if options.sync:
        upload_backlog(options.runs, options.sweep, console)
    if options.list:
        print_sweeps(uri, console)
        return
    sweep = options.sweep or newest_sweep(uri)
    runs = read_sweep(uri, sweep)
    if not runs:
        raise TrackingError(unknown_sweep(uri, sweep))
    measured = [run for run in runs if run.is_measured]
    rows = summarise(measured)
    metrics = metric_names(rows)
    if metrics:
        for split, names in splits_of(rows).items():
            print_table(sweep, split, rows, names, console)
        print_notes(unmeasured(rows), console)
        write_files(
            options.out or options.runs / sweep / "comparison", sweep, rows, metrics, options.csv, console
        )
    console.print(
        f"{len(measured)} measured run{'s' * (len(measured) != 1)} from {escape(public_uri(uri))}{left_out(runs)}",
        soft_wrap=True,
    )
    if not metrics:
        print_notes(unmeasured(rows), console)
        raise TrackingError(f"no run of the sweep {sweep!r} is finished and measured yet")


def upload_backlog(runs: Path, sweep: str | None, console: Console) -> None:
    """Bring every cell's MLflow run up to date, and print the number of uploaded points; continues after a failure.

    Raises:
        TrackingError: some cells could not be uploaded.
    """
    cells_here = cells_with_state(runs, sweep)
    points, failed = 0, []
    for cell in cells_here:
        try:
            points += sync(cell)
        except TrackingError as error:
            failed.append(f"{cell.name}: {error}")
    console.print(f"{points} points of {len(cells_here) - len(failed)} runs uploaded", soft_wrap=True)
    if failed:
        raise TrackingError(f"{len(failed)} runs could not be uploaded, the first is {failed[0]}")


def newest_sweep(uri: str) -> str:
    """Name of the sweep that was started last; one with a finished run, if there is any.

    Raises:
        TrackingError: there is none.
    """
    sweeps = list_sweeps(uri)
    if not sweeps:
        raise TrackingError(f"the MLflow store {public_uri(uri)} holds no sweep yet; run one first")
    return next((sweep.name for sweep in sweeps if sweep.statuses.get("FINISHED")), sweeps[0].name)


def unknown_sweep(uri: str, sweep: str) -> str:
    """One sentence with the names that exist."""
    names = [known.name for known in list_sweeps(uri)]
    if sweep in names:
        return f"the sweep {sweep!r} has no runs yet"
    there = f"there are: {', '.join(names)}" if names else "there are none yet"
    return f"no sweep is named {sweep!r} in {public_uri(uri)}; {there}"


def print_sweeps(uri: str, console: Console) -> None:
    """The sweeps of the store, the newest first."""
    table = Table("sweep", "last start", "runs")
    for sweep in list_sweeps(uri):
        start = datetime.fromtimestamp(sweep.last_start_ms / 1000).isoformat(" ", "minutes")
        counts = ", ".join(f"{n} {status.lower()}" for status, n in sorted(sweep.statuses.items()))
        table.add_row(escape(sweep.name), start, counts)
    console.print(table)


def write_files(
    folder: Path, sweep: str, rows: Sequence[Row], metrics: Sequence[str], csv: Path | None, console: Console
) -> None:
    """Write the table as CSV and Markdown, and the figure of its first metric; say where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    text = as_csv(sweep, rows)
    written = [folder / "table.csv", folder / "table.md"]
    written[0].write_text(text, encoding="utf-8")
    written[1].write_text(as_markdown(rows), encoding="utf-8")
    figure = folder / f"{metrics[0].replace('/', '_')}.png"
    if draw_comparison(rows, metrics[0], figure):
        written.append(figure)
    if csv is not None:
        csv.parent.mkdir(parents=True, exist_ok=True)
        csv.write_text(text, encoding="utf-8")
        written.append(csv)
    console.print(f"written: {escape(', '.join(map(str, written)))}", soft_wrap=True)


def left_out(runs: Sequence[RecordedRun]) -> str:
    """How many runs do not count, and why; empty if all do."""
    counts = Counter(run.status.lower() for run in runs if not run.is_measured)
    return (
        f"; left out: {', '.join(f'{n} {status}' for status, n in sorted(counts.items()))}" if counts else ""
    )


if __name__ == "__main__":
    imports_are_done()
    main()
