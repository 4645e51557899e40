"""The end of a sweep: its parent run in MLflow is closed, and its table, figure and reports are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from data_prep.errors import LaunchError, TrackingError, report_user_errors
from launch.compare import Compare, compare
from launch.launch_record import recorded_recipes
from launch.readers import ReaderSweep
from launch.recipes import QUICK
from launch.store import wait_for_store
from pipeline.cell import Cell
from pipeline.cells.folder import CellFolder
from pipeline.measures.plan import is_done
from pipeline.reports.finished import finished_runs
from pipeline.reports.registry import reports_of
from pipeline.reports.write import write_report
from pipeline.tracking import finish_sweep, send_to_sweep, tracking_uri

SHOWN = ("comparison", "reports")
"""Folders of a sweep that its parent run in MLflow shows."""


def finish_on_node(sweep: str, names: Sequence[str]) -> None:
    """``finish`` as the last job of a sweep on a cluster: a user error is one sentence, and exit status 2."""
    with report_user_errors():
        finish(Path(sweep), [Cell.open(Path(sweep, name, "config.json")) for name in names])


def finish_readers(sweeps: Iterable[ReaderSweep]) -> None:
    """``finish`` each sweep of label readers; what goes wrong with their tables is printed, and stops no other sweep."""
    for sweep in sweeps:
        try:
            finish(sweep.folder, sweep.cells)
        except TrackingError as error:
            print(f"no table of {sweep.folder.name}: {error}", flush=True)


def finish(sweep: Path, cells: Sequence[Cell]) -> None:
    """Record in MLflow whether the sweep succeeded, and print and write its table if any cell is done, there too.

    It succeeded if all of these cells are done, and no cell of an earlier launch in the sweep's folder has failed.

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
        well = all(done) and not any(CellFolder(file.parent).failed() for file in sweep.glob("*/FAILED"))
        finish_sweep(uri, settings.parent_run_id, "finished" if well else "failed")
    if any(done):
        compare(Compare(sweep=sweep.name, runs=sweep.parent))
        write_reports(sweep)
        if settings.parent_run_id is not None:
            folders = [folder for name in SHOWN if (folder := sweep / name).is_dir()]
            send_to_sweep(uri, settings.parent_run_id, folders)


def write_reports(sweep: Path) -> None:
    """Write the papers' tables and figures that the sweep's recipes are for, from its own runs, and say where."""
    reports = {each.name: each for name in recorded_recipes(sweep) for each in reports_of(name or QUICK)}
    if not reports:
        return
    runs = finished_runs(sweep.parent, sweep.name)
    shown = [name for name, each in reports.items() if write_report(each, runs, sweep / "reports").runs]
    if shown:
        print(f"reports in {sweep / 'reports'}: {', '.join(shown)}")
