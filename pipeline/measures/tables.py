"""Rows as CSV (every metric, with the runs it rests on) and as Markdown (for reading), a table for each split."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from pipeline.measures.notes import Marks, earlier, marks, notes, unmeasured, won
from pipeline.measures.summary import Row, Statistic, metric_names
from pipeline.measures.variants import short_variants

CSV_HEADER = (
    *("sweep", "dataset", "system", "variant", "supervision_rate", "epochs", "split", "metric"),
    *("mean", "sd", "n", "seeds", "label_seeds"),
    *("paper", "paper_sd", "difference", "paper_source", "paper_differs_in", "other_papers"),
    *("run_ids", "status", "reason"),
)
SHOWN = 4
"""Metrics of each split in a table for reading; the CSV has them all."""

TEXT_COLUMNS = ("data", "system", "variant")
"""Headings of text columns; the others are numeric."""


def as_csv(sweep: str, rows: Sequence[Row]) -> str:
    """One line per row and metric, and one per row and measure that failed or does not apply, with the measure's name.

    Lists (seeds, label seeds, run ids) are separated by spaces.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_HEADER, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        common = {
            "sweep": sweep,
            "dataset": row.dataset,
            "system": row.system,
            "variant": row.variant,
            "supervision_rate": row.supervision_rate,
            "epochs": row.epochs,
            "seeds": " ".join(row.seeds),
            "label_seeds": " ".join(row.label_seeds),
            "run_ids": " ".join(row.run_ids),
        }
        for name in metric_names([row]):
            found = row.metrics[name]
            numbers = {"mean": found.mean, "sd": _blank(found.sd), "n": found.n}
            told = {"split": found.split, "metric": name, "status": "measured"}
            writer.writerow(common | told | numbers | _paper_columns(found))
        for status, count in row.unmeasured:
            told = {"split": status.split, "metric": status.measure, "status": status.status}
            writer.writerow(common | told | {"n": count, "reason": status.reason})
    return text.getvalue()


def splits_of(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The metrics of each split, as :func:`~pipeline.measures.summary.metric_names` orders them."""
    splits: dict[str, list[str]] = {}
    for name in metric_names(rows):
        split = next(row.metrics[name].split for row in rows if name in row.metrics)
        splits.setdefault(split, []).append(name)
    return splits


def headings(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """Headings of :func:`body`: a metric with a paper value takes three columns.

    Seeds and label seeds are counted separately if their numbers differ.
    """
    names = ["data", "system", *(["variant"] if any(row.variant for row in rows) else []), "f", "epochs", "n"]
    names += ["seeds", "label_seeds"] if _counts_label_seeds(rows) else []
    for metric in metrics:
        names.append(metric)
        if _has_paper(rows, metric):
            names += ["paper", "difference"]
    return names


def body(rows: Sequence[Row], metrics: Sequence[str]) -> list[list[str]]:
    """The cells of each row, matching :func:`headings`; a variant has a line per setting."""
    variants, marked = short_variants(rows), marks(rows, metrics)
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
            fewer = "" if found is None or found.n == len(row.seeds) else f" (n={found.n})"
            line.append("" if found is None else mean_and_sd(found) + fewer)
            if papers[metric]:
                line += _paper_cells(found, marked)
        lines.append(line)
    return lines


def as_markdown(rows: Sequence[Row]) -> str:
    """A table for each split, each with notes."""
    tables = []
    for split, metrics in splits_of(rows).items():
        shown = metrics[:SHOWN]
        measured = [row for row in rows if any(name in row.metrics for name in shown)]
        names = headings(measured, shown)
        rules = ["---" if name in TEXT_COLUMNS else "---:" for name in names]
        lines = [names, rules, *body(measured, shown)]
        escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
        table = "\n".join("| " + " | ".join(line) + " |" for line in escaped)
        over = f"split {split}: mean ± standard deviation over n runs of different seeds"
        listed = [over, *notes(measured, shown), *not_shown(metrics[SHOWN:])]
        tables.append("\n".join([table, "", *(f"- {note}" for note in listed)]))
    without = [f"- {note}" for note in (*won(rows), *unmeasured(rows), *earlier(rows))]
    return "\n\n".join(tables) + "\n" + "".join(f"{line}\n" for line in without)


def not_shown(in_csv: Sequence[str], in_markdown: Sequence[str] = ()) -> list[str]:
    """A sentence on the metrics without a column, and where they are."""
    where = [(in_markdown, "table.md and table.csv"), (in_csv, "table.csv")]
    listed = [f"{', '.join(names)} (in {files})" for names, files in where if names]
    return [f"more metrics: {', '.join(listed)}"] if listed else []


def mean_and_sd(found: Statistic) -> str:
    """``0.865 ± 0.004``; without the deviation for a single run."""
    digits = 3 if abs(found.mean) < 10 else 1
    mean = f"{found.mean:.{digits}f}"
    return mean if found.sd is None else f"{mean} ± {found.sd:.{digits}f}"


def _paper_cells(found: Statistic | None, marked: Marks) -> list[str]:
    if found is None or not found.printed or found.difference is None:
        return ["", ""]
    printed = found.printed[0]
    return [" ".join([str(printed.value), *marked[printed.deviations]]), f"{found.difference:+.3f}"]


def _paper_columns(found: Statistic) -> dict[str, object]:
    if not found.printed:
        return {}
    (first, *others) = found.printed
    return {
        "paper": first.value.value,
        "paper_sd": _blank(first.value.sd),
        "difference": found.difference,
        "paper_source": first.value.source,
        "paper_differs_in": "; ".join(map(str, first.deviations)),
        "other_papers": "; ".join(
            f"{other.value} ({other.value.source}, {other.value.model})" for other in others
        ),
    }


def _counts_label_seeds(rows: Sequence[Row]) -> bool:
    return any(row.varies_labels_otherwise for row in rows)


def _has_paper(rows: Sequence[Row], metric: str) -> bool:
    return any(metric in row.metrics and row.metrics[metric].paper is not None for row in rows)


def _blank(value: float | None) -> float | str:
    return "" if value is None else value
