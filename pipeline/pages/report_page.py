"""The report of a sweep as one page: what it holds, as plain values, and its HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pipeline.pages.document import document
from pipeline.pages.small_pictures import SmallPictures
from pipeline.pages.thinned import Curve, thinned

Value: TypeAlias = str | float | int | None
"""Of a table; None where there is none."""
Kind = Literal["text", "long", "phase", "link", "number", "seconds"]
"""``long`` texts are wrapped, a ``phase`` is coloured, a ``link`` is a relative address."""
Fact: TypeAlias = tuple[str, str]
"""What something is called, and what it is."""

SCRIPTS = ("table.js", "plot.js", "rates.js", "curves.js", "figures.js", "page.js")
"""In ``report/``, in the order in which they are run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    kind: Kind = "text"
    about: str = ""
    """What the numbers are."""
    first: bool = True
    """Whether it is shown before all columns are asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table that sorts, filters and copies itself."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RateRow:
    """Runs that differ in their seeds only."""

    data: str
    line: str
    """Name of its line in a plot."""
    number: int
    """Of the line, which decides its colour and mark."""
    rate: float
    epochs: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RateValue:
    """A measure of such runs."""

    row: int
    mean: float
    sd: float | None
    n: int
    paper: float | None = None
    difference: float | None = None
    source: str = ""
    differs: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperLine:
    """A paper's numbers over the supervision rate."""

    data: str
    name: str
    number: int
    """Of the line of ours that it belongs to."""
    points: Sequence[tuple[float, float, float | None]]
    """Rate, value, standard deviation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateMetric:
    """A measure over the supervision rate."""

    name: str
    about: str
    values: Sequence[RateValue]
    papers: Sequence[PaperLine]


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperPart:
    """A table or figure of a paper that the sweep serves."""

    title: str
    tables: Sequence[Table]
    figures: Sequence[int]
    """Numbers of its pictures."""
    href: str
    """Relative address of the report; empty if it is not written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataPart:
    """A data set."""

    title: str
    facts: Sequence[Fact]
    sheet: bytes | None
    """Contact sheet, WebP."""
    labels: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepReport:
    """All that the page shows."""

    title: str
    facts: Sequence[Fact]
    notes: Sequence[str]
    started: Sequence[Fact]
    cells: Table
    """The names of the cells are its first column."""
    failures: Table
    rate_rows: Sequence[RateRow]
    metrics: Sequence[RateMetric]
    rate_notes: Sequence[str]
    papers: Sequence[PaperPart]
    groups: Sequence[str]
    """Names of groups of runs that differ in their seeds only."""
    curves: Sequence[Curve]
    pictures: SmallPictures
    data: Sequence[DataPart]
    commands: Sequence[Fact]


def report_page(report: SweepReport) -> str:
    """The HTML of the page."""
    texts = report.pictures.texts()
    data = []
    for number, part in enumerate(report.data):
        name = f"sheet{number}"
        if part.sheet is not None:
            texts[name] = SmallPictures.as_text(part.sheet)
        data.append(
            {
                "title": part.title,
                "facts": part.facts,
                "sheet": None if part.sheet is None else name,
                "labels": _table(part.labels),
            }
        )
    content = {
        "title": report.title,
        "facts": report.facts,
        "notes": report.notes,
        "started": report.started,
        "cells": _table(report.cells),
        "failures": _table(report.failures),
        "rates": _rates(report),
        "papers": [
            {
                "title": part.title,
                "tables": [_table(each) for each in part.tables],
                "figures": part.figures,
                "href": part.href,
            }
            for part in report.papers
        ],
        "curves": thinned(report.groups, report.curves),
        "figures": report.pictures.described(),
        "data": data,
        "commands": report.commands,
    }
    return document("report", title=report.title, scripts=SCRIPTS, data=content, texts=texts)


def _table(table: Table) -> dict[str, Any]:
    columns = [
        {"name": each.name, "kind": each.kind, "about": each.about, "first": each.first}
        for each in table.columns
    ]
    rows = [[_value(value) for value in row] for row in table.rows]
    return {"name": table.name, "columns": columns, "rows": rows, "notes": table.notes}


def _rates(report: SweepReport) -> dict[str, Any]:
    return {
        "metrics": [{"name": each.name, "about": each.about} for each in report.metrics],
        "rows": [[each.data, each.line, each.number, each.rate, each.epochs] for each in report.rate_rows],
        "values": [
            [
                [
                    *(one.row, _value(one.mean), _value(one.sd), one.n),
                    *(_value(one.paper), _value(one.difference), one.source, one.differs),
                ]
                for one in each.values
            ]
            for each in report.metrics
        ],
        "papers": [
            [[line.data, line.name, line.number, line.points] for line in each.papers]
            for each in report.metrics
        ],
        "notes": report.rate_notes,
    }


def _value(value: Value) -> Value:
    """As JSON has it: seven digits, and words for what is no finite number."""
    if not isinstance(value, float) or isinstance(value, bool):
        return value
    return float(f"{value:.7g}") if math.isfinite(value) else str(value)
