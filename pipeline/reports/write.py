"""Writes a report: Markdown, CSV and figures in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.files import atomic_write, naming
from pipeline.reports import curve_files, figure_files, matcher_table, table_files, term_table
from pipeline.reports.finished import FinishedRun
from pipeline.reports.matcher_table import MatcherTable
from pipeline.reports.paper_curves import PaperCurves, curves
from pipeline.reports.paper_figure import PaperFigure, shown_runs
from pipeline.reports.paper_table import PaperTable, panels
from pipeline.reports.registry import Report
from pipeline.reports.table_figure import draw_paper_table
from pipeline.reports.term_table import TermTable


@dataclass(frozen=True, slots=True)
class Written:
    """What a report has become."""

    markdown: str
    files: tuple[Path, ...]
    runs: int
    """How many of the runs it shows."""


def write_report(report: Report, runs: Sequence[FinishedRun], folder: Path) -> Written:
    """Write the report of these runs into ``folder / report.name``."""
    folder = folder / report.name
    folder.mkdir(parents=True, exist_ok=True)
    with naming(folder):
        return _write(report, runs, folder)


def _write(report: Report, runs: Sequence[FinishedRun], folder: Path) -> Written:
    if isinstance(report, PaperTable):
        return _write_table(report, runs, folder)
    if isinstance(report, PaperCurves):
        return _write_curves(report, runs, folder)
    if isinstance(report, MatcherTable):
        return _write_matches(report, runs, folder)
    if isinstance(report, TermTable):
        return _write_terms(report, runs, folder)
    return _write_figure(report, runs, folder)


def _write_table(table: PaperTable, runs: Sequence[FinishedRun], folder: Path) -> Written:
    found = panels(table, runs)
    markdown = table_files.as_markdown(table, found)
    files = _write_texts(folder, markdown, table_files.as_csv(table, found))
    if draw_paper_table(found, f"{table.source}: {table.shows}", folder / "report.png"):
        files.append(folder / "report.png")
    shown = {run.name for panel in found for entry in panel.entries for run in entry.runs}
    return Written(markdown, tuple(files), len(shown))


def _write_curves(figure: PaperCurves, runs: Sequence[FinishedRun], folder: Path) -> Written:
    found, without = curves(figure, runs)
    picture = folder / "report.png"
    markdown = curve_files.as_markdown(figure, found, without, picture.name)
    files = _write_texts(folder, markdown, curve_files.as_csv(figure, found))
    if curve_files.draw_curves(figure, found, picture):
        files.append(picture)
    return Written(markdown, tuple(files), len({curve.run.name for curve in found}))


def _write_matches(table: MatcherTable, runs: Sequence[FinishedRun], folder: Path) -> Written:
    found = matcher_table.matched(table, runs)
    markdown = matcher_table.as_markdown(table, found)
    files = _write_texts(folder, markdown, matcher_table.as_csv(table, found))
    if matcher_table.draw_matches(table, found, folder / "report.png"):
        files.append(folder / "report.png")
    return Written(markdown, tuple(files), sum(len(each.runs) for each in found))


def _write_terms(table: TermTable, runs: Sequence[FinishedRun], folder: Path) -> Written:
    found = term_table.comparisons(table, runs)
    markdown = term_table.as_markdown(table, found)
    files = _write_texts(folder, markdown, term_table.as_csv(table, found))
    return Written(markdown, tuple(files), sum(len(each.runs) for one in found for each in one.variants))


def _write_figure(figure: PaperFigure, runs: Sequence[FinishedRun], folder: Path) -> Written:
    shown = shown_runs(figure, runs)
    names = figure_files.copy_pictures(figure, shown, folder)
    markdown = figure_files.as_markdown(figure, shown, names)
    files = _write_texts(folder, markdown, figure_files.as_csv(figure, shown))
    return Written(markdown, (*files, *(folder / name for name in names.values())), len(shown))


def _write_texts(folder: Path, markdown: str, csv: str) -> list[Path]:
    files = [folder / "report.md", folder / "report.csv"]
    for file, text in zip(files, (markdown, csv), strict=True):
        with atomic_write(file) as part:
            part.write(text.encode())
    return files
