"""The papers' tables and figures from finished runs, and pages of sweeps: ``python launch/report.py ccvae-table2``."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

if not __package__:  # run as a file: Python then searches launch/, not the root of the code
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import tyro

from data_prep.errors import LaunchError, report_user_errors
from data_prep.program_name import program
from launch.command_line import described, parsed
from launch.former import refuse_former_cells
from launch.monitoring.named import SweepFolder
from pipeline.reports.finished import finished_runs
from pipeline.reports.registry import REPORTS, report_named
from pipeline.reports.write import write_report


@dataclass(frozen=True, kw_only=True)
class Report:
    """Make a table or figure of a paper from finished runs, in the paper's arrangement, with the paper's own numbers.

    Each is written as Markdown, CSV and pictures. Ours are mean and standard deviation over seeds, next to the paper's, with
    the difference, the runs, what differs from the paper, and for what has no run the command that trains it. Runs are read
    from their folders, of all sweeps unless one is named; of several that belong to a number the one counts whose
    settings are nearest to the paper's.

    With --page instead, write the report page of a sweep, runs/SWEEP/report.html, as it is now, also while it runs: one HTML
    file with what was started, tables of cells and measures, curves, figures, failures. A sweep writes it at its end.

    Examples:
      python launch/report.py --list
      python launch/report.py ccvae-table6
      python launch/report.py ccvae-table2 ccvae-figure7 --sweep drawn-faces-quick
      python launch/report.py --all --out paper
      python launch/report.py --page fashion-mnist --open
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional, described("NAME")] = ()
    """the reports, such as ccvae-table2"""
    sweep: Annotated[str | None, described("SWEEP")] = None
    """only runs of this sweep (default: of all sweeps)"""
    all: bool = False
    """every report that has a run"""
    list: bool = False
    """name all reports, and do nothing else"""
    page: Annotated[str | None, described("SWEEP")] = None
    """write the report page of this sweep, and its reports"""
    open: bool = False
    """open the page in the browser"""
    runs: Path = Path("runs")
    """folder of the sweeps"""
    out: Annotated[Path | None, described("FOLDER")] = None
    """folder for the reports, one folder each (default: RUNS/reports)"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    with report_user_errors():
        report(parsed(Report, arguments, prog=program("report")))


def report(options: Report) -> None:
    """Print and write the reports.

    Raises:
        LaunchError: none is named.
        ConfigError: an unknown report, or no such sweep.
    """
    if options.open and options.page is None:
        raise LaunchError("--open belongs to --page SWEEP")
    if options.list:
        width = max(map(len, REPORTS))
        for name, each in REPORTS.items():
            print(f"{name:{width}}  {each.source}: {each.shows}")
        return
    if options.page is not None:
        write_page_of(options)
        return
    if not options.names and not options.all:
        raise LaunchError("no report is named: --list shows them all, --all makes every one that has a run")
    chosen = list(REPORTS.values()) if options.all else [report_named(name) for name in options.names]
    runs = finished_runs(options.runs, options.sweep)
    out = options.out or options.runs / "reports"
    empty = []
    for each in chosen:
        written = write_report(each, runs, out)
        if options.all and not written.runs:
            empty.append(each.name)
            continue
        print(written.markdown)
        print(f"written: {', '.join(map(str, written.files))}\n")
    if empty:
        print(f"without any run: {', '.join(empty)}")


def write_page_of(options: Report) -> None:
    """Write the page of a sweep after its reports, and say where it is.

    Raises:
        LaunchError: there is no such sweep, or reports are named as well.
    """
    from launch.finish import write_reports  # imports torch, which reports do without
    from launch.sweep_page.write import write_page

    if options.names or options.all or options.sweep or options.out:
        raise LaunchError(
            "--page is of the whole sweep: leave out names of reports, --all, --sweep and --out"
        )
    sweep = SweepFolder.named(str(options.page), options.runs)
    refuse_former_cells(sweep)
    write_reports(sweep.path)
    page = write_page(sweep.path)
    print(f"{page} ({page.stat().st_size / 1e6:.1f} MB)")
    if options.open:
        webbrowser.open(page.as_uri())


if __name__ == "__main__":
    main()
