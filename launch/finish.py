"""The end of a sweep: its parent run in MLflow is closed, and its table, figure, reports and pages are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from data_prep.errors import LaunchError, TrackingError, UserError, report_user_errors
from data_prep.program_name import program
from launch.compare import Compare, compare
from launch.explorers import MOST, write_explorers
from launch.launch_record import recorded_recipes
from launch.readers import ReaderSweep
from launch.recipes import QUICK
from launch.store import wait_for_store
from launch.sweep_page.write import FILE as PAGE
from launch.sweep_page.write import write_page
from launch.uploads import bring_finished_cells, destination
from pipeline.cell import Cell
from pipeline.cells.folder import CellFolder
from pipeline.measures.plan import is_done
from pipeline.reports.finished import finished_runs
from pipeline.reports.registry import reports_of
from pipeline.reports.write import write_report
from pipeline.tracking import finish_sweep, send_to_sweep, tracking_uri

SHOWN = ("comparison", "reports", PAGE)
"""Folders and files of a sweep that its parent run in MLflow shows."""


def finish_on_node(sweep: str, names: Sequence[str]) -> None:
    """``finish`` as the last job of a sweep on a cluster: a user error is one sentence, and exit status 2."""
    with report_user_errors():
        finish(Path(sweep), [Cell.open(Path(sweep, name, "config.json")) for name in names])


def finish_readers(sweeps: Iterable[ReaderSweep]) -> None:
    """``finish`` each sweep of label readers; what goes wrong with their tables is printed, and stops no other sweep."""
    for sweep in sweeps:
        try:
            finish(sweep.folder, sweep.cells, pages=False)
        except TrackingError as error:
            print(f"no table of {sweep.folder.name}: {error}", flush=True)


def finish(sweep: Path, cells: Sequence[Cell], *, pages: bool = True) -> None:
    """Record in MLflow whether the sweep succeeded, and print and write its table if any cell is done, there too.

    What MLflow still lacks of trained cells is brought there first. The sweep succeeded if all of these cells are done,
    and no cell of an earlier launch in the sweep's folder has failed.
    With ``pages``, its report page and explorers are written as well, whatever became of the cells.

    Raises:
        TrackingError: the MLflow store cannot be reached.
    """
    if not cells:
        raise LaunchError(f"{sweep} has no cells")
    done = [is_done(cell) for cell in cells]
    settings = Cell.open(cells[0].config_file).config.tracking  # as written: a planned cell has none yet
    uri = tracking_uri(settings.uri, sweep.parent)
    if settings.parent_run_id is not None:
        wait_for_store(uri)
        bring_finished_cells(cells, uri, destination(sweep, uri))  # what was slow to take when they ended
        well = all(done) and not any(CellFolder(file.parent).failed() for file in sweep.glob("*/FAILED"))
        finish_sweep(uri, settings.parent_run_id, "finished" if well else "failed")
    try:
        if any(done):
            compare(Compare(sweep=sweep.name, runs=sweep.parent))
            write_reports(sweep)
    finally:
        if pages:
            write_pages(sweep, cells)
    if settings.parent_run_id is not None:
        shown = [path for name in SHOWN if (path := sweep / name).exists()]
        send_to_sweep(uri, settings.parent_run_id, shown)


def write_pages(sweep: Path, cells: Sequence[Cell]) -> None:
    """Write the explorers of the cells, unless they are many, and the report page of the sweep, and say where they are."""
    explorers = []
    if len(cells) <= MOST:
        explorers = write_explorers(cells)
    else:
        print(f"no explorers of so many cells; of one: {program('explore')} {sweep.name} CELL")
    try:
        page = write_page(sweep)
    except (UserError, OSError) as error:
        print(f"no report page: {error}")
        return
    print(f"report page: {page}")
    for explorer in explorers:
        print(f"explorer: {explorer}")


def write_reports(sweep: Path) -> None:
    """Write the papers' tables and figures that the sweep's recipes are for, from its own runs, and say where."""
    reports = {each.name: each for name in recorded_recipes(sweep) for each in reports_of(name or QUICK)}
    if not reports:
        return
    runs = finished_runs(sweep.parent, sweep.name)
    if not runs:
        return
    shown = [name for name, each in reports.items() if write_report(each, runs, sweep / "reports").runs]
    if shown:
        print(f"reports in {sweep / 'reports'}: {', '.join(shown)}")
