"""Measures over the supervision rate for the page of a sweep: mean and deviation over seeds, and the papers' numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from data_prep.counted import counted
from launch.sweep_page.tables import about
from pipeline.measures.notes import earlier, unmeasured, won
from pipeline.measures.paper_match import Deviation
from pipeline.measures.papers import PAPERS
from pipeline.measures.recorded import TEST
from pipeline.measures.short_numbers import short_deviations
from pipeline.measures.summary import Row, metric_names
from pipeline.measures.variants import short_variants, what_is_common
from pipeline.pages.report_page import PaperLine, RateMetric, RateRow, RateValue

COLOURS = 7
"""Of lines; numbers that differ by these have one colour, and other marks."""


def rate_rows(rows: Sequence[Row]) -> list[RateRow]:
    """The rows with the lines that they belong to; runs of other epochs have lines of their own."""
    variants = short_variants(rows)
    many = len({row.epochs for row in rows}) > 1
    lines = sorted({row.series[1:] for row in rows})
    return [
        RateRow(
            data=row.dataset,
            line=" ".join(
                [row.system, *variants[row.variant], *([counted(int(row.epochs), "epoch")] if many else [])]
            ),
            number=lines.index(row.series[1:]),
            rate=row.supervision_rate,
            epochs=row.epochs,
        )
        for row in rows
    ]


def rate_metrics(rows: Sequence[Row], lines: Sequence[RateRow]) -> list[RateMetric]:
    """Every measure that some row has."""
    told = short_deviations(
        printed.deviations for row in rows for found in row.metrics.values() for printed in found.printed
    )
    return [
        RateMetric(
            name=name,
            about=about(name),
            values=[
                _value(number, row, name, told) for number, row in enumerate(rows) if name in row.metrics
            ],
            papers=list(_papers(rows, lines, name)),
        )
        for name in metric_names(rows)
    ]


def _value(number: int, row: Row, metric: str, told: Mapping[tuple[Deviation, ...], str]) -> RateValue:
    found = row.metrics[metric]
    printed = found.printed[0] if found.printed else None
    return RateValue(
        row=number,
        mean=found.mean,
        sd=found.sd,
        n=found.n,
        paper=None if printed is None else printed.value.value,
        difference=found.difference,
        source="" if printed is None else f"{printed.value.source}, {printed.value.model}",
        differs="" if printed is None else told[printed.deviations],
    )


def _papers(rows: Sequence[Row], lines: Sequence[RateRow], metric: str) -> Iterator[PaperLine]:
    """The whole curve of each paper's row that belongs to one of ours, once per data set, in the colour of ours."""
    seen: dict[tuple[str, str], int] = {}
    for row, line in zip(rows, lines, strict=True):
        if metric not in row.metrics or row.metrics[metric].split != TEST:
            continue
        for match in row.papers:
            curve = match.curve(row.dataset, metric)
            name = f"{match.setting.model}, {PAPERS[match.setting.paper]}"
            if curve and (row.dataset, name) not in seen:
                earlier = list(seen.values()).count(line.number)
                seen[row.dataset, name] = line.number
                points = [(rate, value.value, value.sd) for rate, value in curve.items()]
                yield PaperLine(
                    data=row.dataset, name=name, number=line.number + COLOURS * earlier, points=points
                )


def rate_notes(rows: Sequence[Row]) -> list[str]:
    """What is common to the lines, and which measures have no number."""
    common = what_is_common(rows)
    return [*([common] if common else []), *won(rows), *unmeasured(rows), *earlier(rows)]
