"""The papers' tables and figures for the page of a sweep, from its own runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from pipeline.pages.report_page import Column, Table, Value
from pipeline.pages.small_pictures import FigureFile
from pipeline.reports import matcher_table, table_files, term_table
from pipeline.reports.finished import FinishedRun
from pipeline.reports.matcher_table import MatcherTable
from pipeline.reports.paper_table import PaperTable, panels
from pipeline.reports.registry import Report
from pipeline.reports.term_table import TermTable

FOLDER = "reports"
"""Of a sweep."""


def title_of(report: Report) -> str:
    """Source, and what it shows."""
    return f"{report.source}: {report.shows}"


def tables_of(report: Report, runs: Sequence[FinishedRun]) -> list[Table]:
    """The tables of a report that one of these runs is in; figures have none."""
    if isinstance(report, PaperTable):
        return list(_panels(report, runs))
    if isinstance(report, MatcherTable):
        matched = matcher_table.matched(report, runs)
        has = any(each.runs for each in matched)
        return [_of_csv(report, matcher_table.as_csv(report, matched))] if has else []
    if isinstance(report, TermTable):
        compared = term_table.comparisons(report, runs)
        return [_of_csv(report, term_table.as_csv(report, compared))] if compared else []
    return []


def has_numbers(report: Report, runs: Sequence[FinishedRun]) -> bool:
    """Whether one of its tables has a number of one of these runs."""
    if isinstance(report, PaperTable):
        return any(entry.runs for panel in panels(report, runs) for entry in panel.entries)
    return bool(tables_of(report, runs))


def _panels(table: PaperTable, runs: Sequence[FinishedRun]) -> Iterator[Table]:
    """In the paper's arrangement."""
    for panel in panels(table, runs):
        if any(entry.runs or entry.unmeasured for entry in panel.entries):
            heading, *rows = table_files.arranged(panel)
            columns = [Column(name=name) for name in heading]
            yield Table(
                name=table_files.title_of(panel),
                columns=columns,
                rows=rows,
                notes=table_files.notes_of(table, panel),
            )


def _of_csv(report: MatcherTable | TermTable, text: str) -> Table:
    """The file that the report writes, without the column of its own name."""
    (_, *heading), *lines = csv.reader(io.StringIO(text))
    rows = [[_number(word) for word in line[1:]] for line in lines]
    columns = []
    for place, name in enumerate(heading):
        texts = any(isinstance(row[place], str) for row in rows)
        columns.append(Column(name=name, kind="text" if texts else "number"))
    return Table(name=report.name, columns=columns, rows=rows)


def _number(word: str) -> Value:
    try:
        return float(word) if word else None
    except ValueError:
        return word


def pictures_of(report: Report, sweep: Path) -> list[FigureFile]:
    """The pictures that the report has left in the sweep's folder."""
    folder = sweep / FOLDER / report.name
    return [
        FigureFile(
            file=file, cell="", name=file.stem, href=f"./{FOLDER}/{quote(report.name)}/{quote(file.name)}"
        )
        for file in sorted(folder.glob("*.png"))
    ]


def address_of(report: Report, sweep: Path) -> str:
    """Of its Markdown, from the page; empty if it is not written."""
    written = (sweep / FOLDER / report.name / "report.md").is_file()
    return f"./{FOLDER}/{quote(report.name)}/report.md" if written else ""
