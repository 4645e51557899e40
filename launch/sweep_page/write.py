"""Writes the report page of a sweep, ``runs/SWEEP/report.html``, from the sweep's folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from data_prep.errors import LaunchError
from data_prep.files import atomic_write
from launch.clusters.backend import State
from launch.clusters.folder_state import folder_state
from launch.launch_record import recorded_recipes
from launch.monitoring.named import SweepFolder
from launch.monitoring.sweep_status import read_status
from launch.monitoring.watch import summary
from launch.recipes import QUICK
from launch.sweep_page import papers, started
from launch.sweep_page.cells import CellRead, read_cell
from launch.sweep_page.curves import curves_of
from launch.sweep_page.data import data_part
from launch.sweep_page.rates import rate_metrics, rate_notes, rate_rows
from launch.sweep_page.tables import cells_table, failures_table, named_numbers
from pipeline.measures.recorded import numbers_of
from pipeline.measures.summary import metric_names, summarise
from pipeline.pages.report_page import DataPart, PaperPart, SweepReport, report_page
from pipeline.pages.small_pictures import FigureFile, SmallPictures
from pipeline.reports.finished import FinishedRun, finished_runs
from pipeline.reports.registry import REPORTS, Report, reports_of

FILE = "report.html"


def write_page(sweep: Path) -> Path:
    """Write the page of a sweep as it is now; returns its path.

    Raises:
        ConfigError: a trained cell's configuration cannot be read.
    """
    page = report_page(read_sweep(SweepFolder(sweep.absolute())))
    with atomic_write(sweep / FILE) as file:
        file.write(page.encode())
    return sweep / FILE


def read_sweep(sweep: SweepFolder) -> SweepReport:
    """Everything that the page shows; only folders are read, and SLURM if jobs of the sweep are unfinished."""
    states, notes = _states(sweep)
    runs = {run.folder.name: run for run in finished_runs(sweep.path.parent, sweep.path.name)}
    cells = [read_cell(cell, states[cell.name], runs.get(cell.name)) for cell in sweep.cells]
    rows = summarise(run for run in runs.values() if numbers_of(run))
    lines = rate_rows(rows)
    reports = _reports(sweep.path, list(runs.values()))
    figures = _figures(cells)
    for each in reports:
        figures += papers.pictures_of(each, sweep.path)
    groups, curves = curves_of(cells)
    now = datetime.now().astimezone()
    return SweepReport(
        title=sweep.path.name,
        facts=[("cells", f"{len(cells)}, {summary(states)}"), ("as of", f"{now:%Y-%m-%d %H:%M %Z}")],
        notes=notes,
        started=started.what_was_started(sweep.path, cells),
        cells=cells_table(cells, _metrics(cells, metric_names(rows))),
        failures=failures_table(cells),
        rate_rows=lines,
        metrics=rate_metrics(rows, lines),
        rate_notes=rate_notes(rows),
        papers=_papers(sweep.path, reports, list(runs.values()), figures),
        groups=groups,
        curves=curves,
        pictures=SmallPictures.of(figures),
        data=_data(cells),
        commands=started.commands(sweep.path, cells),
    )


def _states(sweep: SweepFolder) -> tuple[dict[str, State], list[str]]:
    """The state of each cell, and what is to be said of that."""
    try:
        return read_status(sweep).states, []
    except LaunchError as error:
        states = {cell.name: folder_state(cell) for cell in sweep.cells}
        return states, [f"{error}; waiting and running cells are shown as stopped"]


def _metrics(cells: Sequence[CellRead], first: Sequence[str]) -> list[str]:
    """The names of all numbers, those of the sweep's table in its order."""
    names = {name for cell in cells if cell.run is not None for name in named_numbers(cell.run)}
    return [*first, *sorted(names - set(first))]


def _figures(cells: Sequence[CellRead]) -> list[FigureFile]:
    """The figures of the cells; the first ones of all of them get room before the second."""
    return [
        FigureFile(
            file=file,
            cell=cell.folder.name,
            name=file.stem,
            href=f"./{quote(cell.folder.name)}/figures/{quote(file.name)}",
            rank=rank,
        )
        for cell in cells
        for rank, file in enumerate(sorted(cell.folder.figures.glob("*.png")))
    ]


def _reports(sweep: Path, runs: Sequence[FinishedRun]) -> list[Report]:
    """Those that the sweep's recipes are for; without a recorded launch, every one that has a number of a run."""
    recipes = recorded_recipes(sweep)
    if recipes:
        return list({each.name: each for name in recipes for each in reports_of(name or QUICK)}.values())
    return [each for each in REPORTS.values() if papers.has_numbers(each, runs)] if runs else []


def _papers(
    sweep: Path, reports: Sequence[Report], runs: Sequence[FinishedRun], figures: Sequence[FigureFile]
) -> list[PaperPart]:
    """The reports that one of the runs is in."""
    found = []
    for each in reports:
        pictures = papers.pictures_of(each, sweep)
        part = PaperPart(
            title=papers.title_of(each),
            tables=papers.tables_of(each, runs),
            figures=[figures.index(picture) for picture in pictures],
            href=papers.address_of(each, sweep),
        )
        if part.tables or part.figures:
            found.append(part)
    return found


def _data(cells: Sequence[CellRead]) -> list[DataPart]:
    """Each data set of the sweep's cells once."""
    rates: dict[str, set[float]] = {}
    for cell in cells:
        if cell.record is not None and cell.record.data.folder:
            rates.setdefault(cell.record.data.folder, set()).update(cell.record.data.supervision_rates)
    return [data_part(Path(folder), sorted(of_it)) for folder, of_it in rates.items()]
