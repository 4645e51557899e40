"""Rows as CSV (every metric, with the runs it rests on) and as Markdown (for reading)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from pipeline.measures.summary import Row, Statistic, metric_names
from pipeline.measures.variants import short_variants, what_is_common

CSV_HEADER = (
    *(
        "sweep",
        "dataset",
        "system",
        "variant",
        "supervision_rate",
        "epochs",
        "metric",
        "mean",
        "sd",
        "n",
        "seeds",
        "label_seeds",
    ),
    *("paper", "paper_sd", "difference", "paper_source", "run_ids"),
)

TEXT_COLUMNS = ("data", "system", "variant")
"""Headings of columns that hold words; the others hold numbers."""


def as_csv(sweep: str, rows: Sequence[Row]) -> str:
    """One line per row and metric; lists (seeds, label seeds, run ids) are separated by spaces."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for row in rows:
        for name in metric_names([row]):
            found = row.metrics[name]
            paper = found.paper
            line = [sweep, row.dataset, row.system, row.variant, row.supervision_rate, row.epochs, name]
            line += [found.mean, _blank(found.sd), found.n, " ".join(row.seeds), " ".join(row.label_seeds)]
            line += (
                ["", "", "", ""]
                if paper is None
                else [paper.value, _blank(paper.sd), found.difference, paper.source]
            )
            writer.writerow([*line, " ".join(row.run_ids)])
    return text.getvalue()


def headings(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """Headings of :func:`body`: a metric that a paper has a number for takes three columns.

    Seeds and label seeds are counted apart where they are not equally many.
    """
    names = ["data", "system", *(["variant"] if any(row.variant for row in rows) else []), "f", "epochs", "n"]
    names += ["seeds", "label_seeds"] if _counts_label_seeds(rows) else []
    for metric in metrics:
        names.append(metric)
        if _has_paper(rows, metric):
            names += ["paper", "difference"]
    return names


def body(rows: Sequence[Row], metrics: Sequence[str]) -> list[list[str]]:
    """The cells of each row, as many as :func:`headings` gives; a variant has a line for each of its settings."""
    variants = short_variants(rows)
    papers = {metric: _has_paper(rows, metric) for metric in metrics}
    counts_label_seeds = _counts_label_seeds(rows)
    lines = []
    for row in rows:
        line = [row.dataset, row.system, *(["\n".join(variants[row.variant])] if any(variants) else [])]
        line += [f"{row.supervision_rate:g}", row.epochs, str(len(row.seeds))]
        if counts_label_seeds:
            line += [str(len(set(seeds)) or "") for seeds in (row.seeds, row.label_seeds)]
        for metric in metrics:
            found = row.metrics.get(metric)
            line.append("" if found is None else mean_and_sd(found))
            if papers[metric]:
                line += _paper_cells(found)
        lines.append(line)
    return lines


def as_markdown(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """A table, and a line that says which tables of which papers stand beside it."""
    names = headings(rows, metrics)
    rules = ["---" if name in TEXT_COLUMNS else "---:" for name in names]
    lines = [names, rules, *body(rows, metrics)]
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    table = "\n".join("| " + " | ".join(line) + " |" for line in escaped)
    sources = sorted(
        {s.paper.source for row in rows for m in metrics if (s := row.metrics.get(m)) and s.paper}
    )
    notes = [
        "mean ± standard deviation over n runs of different seeds",
        *(["paper: " + "; ".join(sources)] if sources else []),
    ]
    return f"{table}\n\n{'; '.join([*notes, *filter(None, [what_is_common(rows)])])}\n"


def mean_and_sd(found: Statistic) -> str:
    """``0.865 ± 0.004``; without the deviation for a single run."""
    digits = 3 if abs(found.mean) < 10 else 1
    mean = f"{found.mean:.{digits}f}"
    return mean if found.sd is None else f"{mean} ± {found.sd:.{digits}f}"


def _paper_cells(found: Statistic | None) -> list[str]:
    if found is None or found.paper is None or found.difference is None:
        return ["", ""]
    paper = f"{found.paper.value:.3f}"
    return [
        paper if found.paper.sd is None else f"{paper} ± {found.paper.sd:.3f}",
        f"{found.difference:+.3f}",
    ]


def _counts_label_seeds(rows: Sequence[Row]) -> bool:
    return any(row.varies_labels_otherwise for row in rows)


def _has_paper(rows: Sequence[Row], metric: str) -> bool:
    return any(metric in row.metrics and row.metrics[metric].paper is not None for row in rows)


def _blank(value: float | None) -> float | str:
    return "" if value is None else value
