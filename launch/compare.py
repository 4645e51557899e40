"""Runs next to the papers' values: ``python launch/compare.py``; its numbers come from MLflow only."""

from __future__ import annotations

import gc
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

if not __package__:  # run as a file: Python then searches launch/, not the root of the code
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_prep.counted import counted
from data_prep.errors import TrackingError, report_user_errors
from data_prep.files import atomic_write
from data_prep.program_name import program
from data_prep.start_up import imports_are_done
from launch.chosen_sweep import chosen_sweep, is_of_folder
from launch.command_line import described, parsed
from launch.monitoring.named import SweepFolder, holds_cells, sweeps_in
from launch.terminal_table import print_notes, print_table, wide_enough_console
from launch.uploads import not_in_store, upload_sweeps
from pipeline.figures.comparison import MOST_LINES, draw_comparison
from pipeline.measures.notes import earlier, unmeasured, won
from pipeline.measures.run_table import runs_as_csv
from pipeline.measures.summary import Row, metric_names, summarise
from pipeline.measures.tables import (
    as_csv,
    as_markdown,
    splits_of,
)
from pipeline.tracking import public_uri, tracking_uri
from pipeline.tracking.measured import NOT_APPLICABLE
from pipeline.tracking.runs import RecordedRun, list_sweeps
from pipeline.tracking.sweep_identity import SweepIdentity


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Show the runs of a sweep: mean and standard deviation over seeds, next to the papers' values.

    Only runs that are trained and measured count, one with a failed measure too. Everything is read from MLflow, so the
    folders of the runs may be gone.
    """

    sweep: Annotated[str | None, described("NAME|ID")] = None
    """name of the sweep, or the beginning of its id (default: the newest that has a finished run)"""
    runs: Path = Path("runs")
    """folder of the runs; its mlflow.db is read unless MLFLOW_TRACKING_URI names another store"""
    out: Annotated[Path | None, described("FOLDER")] = None
    """folder for table.csv, runs.csv, table.md and the figure (default: RUNS/SWEEP/comparison)"""
    csv: Annotated[Path | None, described("FILE")] = None
    """write table.csv to this file too"""
    list: bool = False
    """name the sweeps of the store, and do nothing else"""
    sync: bool = False
    """first bring to the store what it lacks of the trained runs in RUNS: numbers, results, figures, models"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with report_user_errors():
        compare(parsed(Compare, arguments, prog=program("compare")))


def compare(options: Compare) -> None:
    """Print the table of a sweep and write its files.

    Raises:
        TrackingError: no such store, or no such sweep.
    """
    console = wide_enough_console()
    uri = tracking_uri(None, options.runs)
    if options.csv is not None and options.csv.is_dir():
        raise TrackingError(
            f"--csv {options.csv} is a folder; name a file, such as {options.csv / 'table.csv'}"
        )
    if options.sync:
        folder = _folder_of(options.runs, options.sweep)
        sent = upload_sweeps(options.runs, uri, folder)
        console.print(f"{sent} sent to {escape(public_uri(uri))}", soft_wrap=True, highlight=False)
    if options.list:
        print_sweeps(uri, console)
        return
    sweep = chosen_sweep(uri, options.runs, options.sweep)
    name, runs, absent = sweep.name, list(sweep.runs), []
    own = is_of_folder(uri, sweep, options.runs / name)
    if own:
        trained = [cell for cell in SweepFolder((options.runs / name).absolute()).cells if cell.is_trained()]
        absent = [cell.name for cell in not_in_store(trained, runs)]
        runs = [run for run in runs if run.cell not in absent]  # of an earlier training, if there is one
    if not (runs or absent):
        raise TrackingError(f"the sweep {name!r} has no runs yet")
    measured = [run for run in runs if run.is_measured]
    rows = summarise(measured)
    metrics = metric_names(rows)
    if metrics:
        for split, names in splits_of(rows).items():
            print_table(name, split, rows, names, console)
        print_notes([*won(rows), *unmeasured(rows), *earlier(rows)], console)
        namesake = not own and holds_cells(options.runs / name)  # its table is not to be overwritten
        place = f"comparison-{sweep.id[:8]}" if namesake else "comparison"
        write_files(
            options.out or options.runs / name / place, name, rows, measured, metrics, options.csv, console
        )
    console.print(
        f"{counted(len(measured), 'measured run')} from {escape(public_uri(uri))}{left_out(runs)}",
        soft_wrap=True,
    )
    print_notes(missing(absent, uri, options.runs, name), console)
    if metrics:
        return
    print_notes(unmeasured(rows), console)
    statuses = {status.status for row in rows for status, _ in row.unmeasured}
    if statuses != {NOT_APPLICABLE}:  # otherwise all is done, and there are only figures
        raise TrackingError(f"no run of the sweep {name!r} is finished and measured yet")


def missing(cells: Sequence[str], uri: str, runs: Path, sweep: str) -> list[str]:
    """The trained cells that the store lacks, in one sentence with the way on."""
    if not cells:
        return []
    command = (
        f"{program('compare')} {shlex.join(['--sync', '--sweep', sweep, '--runs', str(runs.absolute())])}"
    )
    are = "run is" if len(cells) == 1 else "runs are"
    return [
        f"missing in the table: {len(cells)} trained {are} in {runs / sweep}, but not in {public_uri(uri)}:"
        f" {', '.join(cells)}; to bring what is missing: {command}"
    ]


def _folder_of(runs: Path, sweep: str | None) -> Path | None:
    """The folder of a sweep that is given by its name or the beginning of its id; None for all."""
    if sweep is None:
        return None
    named = [folder.path for folder in sweeps_in(runs) if folder.path.name == sweep]
    identities = {folder.path: SweepIdentity.read(folder.path) for folder in sweeps_in(runs)}
    found = named or [path for path, known in identities.items() if known and known.id.startswith(sweep)]
    if not found:
        raise TrackingError(
            f"{runs} has no folder of the sweep {sweep!r}, so that there is nothing to bring to the store"
        )
    return found[0]


def print_sweeps(uri: str, console: Console) -> None:
    """The sweeps of the store, the newest first."""
    table = Table("sweep", "id", "user", "folder", "last start", "runs")
    for sweep in list_sweeps(uri):
        start = datetime.fromtimestamp(sweep.last_start_ms / 1000).isoformat(" ", "minutes")
        counts = ", ".join(f"{n} {status.lower()}" for status, n in sorted(sweep.statuses.items()))
        folder = f"{sweep.host}:{sweep.folder}" if sweep.folder else ""
        table.add_row(escape(sweep.name), sweep.id[:8], escape(sweep.user), escape(folder), start, counts)
    console.print(table)


def write_files(
    folder: Path,
    sweep: str,
    rows: Sequence[Row],
    runs: Sequence[RecordedRun],
    metrics: Sequence[str],
    csv: Path | None,
    console: Console,
) -> None:
    """Write the table as CSV and Markdown, each run as a row, and the figure of the first metric; say where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    text = as_csv(sweep, rows)
    texts = {"table.csv": text, "table.md": as_markdown(rows), "runs.csv": runs_as_csv(sweep, runs)}
    for name, content in texts.items():
        with atomic_write(folder / name) as file:
            file.write(content.encode())
    written = [folder / name for name in texts]
    figure = folder / f"{metrics[0].replace('/', '_')}.png"
    if draw_comparison(rows, metrics[0], figure):
        written.append(figure)
    elif len(rows) > MOST_LINES:
        console.print(f"no figure: at most {MOST_LINES} lines can be told apart", highlight=False)
    if csv is not None:
        csv.parent.mkdir(parents=True, exist_ok=True)
        csv.write_text(text, encoding="utf-8")  # not renamed: it may be /dev/stdout
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
