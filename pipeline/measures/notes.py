"""Notes below a table: the papers, how our runs differ from theirs, and which measures have no numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from data_prep.counted import counted
from data_prep.program_name import program
from pipeline.measures.paper_match import Deviation
from pipeline.measures.papers import PaperValue
from pipeline.measures.reader_metrics import READER_ACCURACY
from pipeline.measures.short_numbers import short_deviations
from pipeline.measures.summary import Printed, Row
from pipeline.measures.variants import what_is_common
from pipeline.measures.versions import Earlier
from pipeline.tracking.measured import FAILED, MeasureStatus, metric_prefix

Marks: TypeAlias = Mapping[tuple[Deviation, ...], list[str]]
"""Deviations → the mark at a paper's number; no mark without deviations."""

_MOST_NAMED = 4


def marks(rows: Sequence[Row], metrics: Sequence[str]) -> Marks:
    """A letter for each set of deviations among the paper's numbers of a table."""
    found: dict[tuple[Deviation, ...], list[str]] = {(): []}
    for _, _, printed in _printed(rows, metrics):
        found.setdefault(printed.deviations, [f"({_letters(len(found))})"])
    return found


def notes(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """One sentence each, for the metrics that a table shows."""
    said = []
    first = [(row, row.metrics[metric].printed[0].value) for row, metric in _with_paper(rows, metrics)]
    if sources := sorted({_source(value, row.system) for row, value in first}):
        said.append("paper: " + "; ".join(sources))
    marked = marks(rows, metrics)
    told = short_deviations(marked)
    said += [
        f"{mark} other settings than the paper's: {told[deviations]}"
        for deviations, (mark, *_) in ((d, m) for d, m in marked.items() if m)
    ]
    said += _shorter(rows, metrics)
    said += _also_printed(rows, metrics, marked)
    said += _readers(rows)
    if common := what_is_common(rows):
        said.append(common)
    return said


def unmeasured(rows: Sequence[Row]) -> list[str]:
    """Which measures failed or do not apply, in how many runs, and why."""
    where: dict[MeasureStatus, list[tuple[Row, int]]] = defaultdict(list)
    for row in rows:
        for status, runs in row.unmeasured:
            where[status].append((row, runs))
    said = []
    for status, found in sorted(where.items(), key=lambda item: (item[0].status, item[0].measure)):
        runs = sum(number for _, number in found)
        names = dict.fromkeys(f"{row.system} f={row.supervision_rate:g}" for row, _ in found)
        if status.status != FAILED:
            names = dict.fromkeys(row.system for row, _ in found)
        ended = "failed in" if status.status == FAILED else "does not apply to"
        said.append(
            f"{status.measure} on {status.split} {ended} {counted(runs, 'run')} ({_some([*names])}): {status.reason}"
        )
    return said


def earlier(rows: Sequence[Row]) -> list[str]:
    """Which measures were taken by an earlier version, in how many runs, and whether their numbers are left out."""
    where: dict[Earlier, list[tuple[Row, int]]] = defaultdict(list)
    for row in rows:
        for each, runs in row.earlier:
            where[each].append((row, runs))
    said = []
    for each, found in sorted(where.items(), key=lambda item: (item[0].measure, item[0].version)):
        runs = sum(number for _, number in found)
        systems = [*dict.fromkeys(row.system for row, _ in found)]
        instead = (
            f"and left out next to version {each.newest} of others"
            if each.left_out
            else f"the measure has version {each.newest} now"
        )
        name, slash, _ = each.measure.partition("/")
        said.append(
            f"{each.measure} on {each.split}: numbers of {counted(runs, 'run')} ({_some(systems)}) are of version"
            f" {each.version}, {instead}; to measure again: {program('measure')} SWEEP --measures"
            f" {name}{':SETTING=VALUE' * bool(slash)}"
        )
    return said


def _some(names: Sequence[str]) -> str:
    """The first of the names."""
    return ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")


def won(rows: Sequence[Row]) -> list[str]:
    """Discriminators that won outright, in which rows, and for how long."""
    return [
        f"{row.system} on {row.dataset}: the discriminator{f' of {name} images' if name else ''} won outright (accuracy"
        f" above 0.99) in up to {epochs} of {row.epochs} epochs, in {runs} of {counted(len(row.run_ids), 'run')}"
        for row in rows
        for name, epochs, runs in row.won
    ]


def _readers(rows: Sequence[Row]) -> Iterator[str]:
    """How well the label readers read that numbers of the rows rest on, for each data set and split."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in rows:
        for name, quality in row.metrics.items():
            prefix = name.removesuffix(READER_ACCURACY)
            if name == prefix or prefix not in ("", f"{metric_prefix(quality.split)}/"):
                continue
            spread = any(other.startswith(prefix) and other.endswith("_reader_sd") for other in row.metrics)
            readers = "an ensemble of label readers" if spread else "one quickly trained label reader"
            found[row.dataset, quality.split, readers].append(quality.mean)
    for (dataset, split, readers), shares in sorted(found.items()):
        yield (
            f"pictures of {dataset} are judged by {readers}, right on {min(shares):.3f} of the known labels of {split}"
            f" ({READER_ACCURACY})"
        )


def _shorter(rows: Sequence[Row], metrics: Sequence[str]) -> Iterator[str]:
    """That runs of fewer epochs are next to the paper's numbers."""
    shorter = dict.fromkeys(
        (deviation.here, deviation.paper)
        for _, _, printed in _printed(rows, metrics)
        for deviation in printed.deviations
        if deviation.name == "epochs" and float(deviation.here) < float(deviation.paper)
    )
    for here, paper in shorter:
        epochs = "epoch" if here == "1" else "epochs"
        yield f"{here} {epochs} of training stand next to the paper's {paper}"


def _also_printed(rows: Sequence[Row], metrics: Sequence[str], marked: Marks) -> list[str]:
    """Numbers of other papers' rows that belong to the same runs."""
    found: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
    for row, metric, printed in _printed(rows, metrics):
        if printed is not row.metrics[metric].printed[0]:
            number = " ".join([str(printed.value), *marked[printed.deviations]])
            place = (_source(printed.value, row.system), row.system, metric)
            found[place][f"{number} at f={row.supervision_rate:g}"] = None
    return [
        f"also printed for {system}: {metric} {', '.join(numbers)} ({source})"
        for (source, system, metric), numbers in found.items()
    ]


def _source(value: PaperValue, system: str) -> str:
    """Citation, table, and the row's name if it is not the system's."""
    return value.source if value.model == system else f"{value.source}, {value.model}"


def _printed(rows: Sequence[Row], metrics: Sequence[str]) -> Iterator[tuple[Row, str, Printed]]:
    for row, metric in _with_paper(rows, metrics):
        for printed in row.metrics[metric].printed:
            yield row, metric, printed


def _with_paper(rows: Sequence[Row], metrics: Sequence[str]) -> Iterator[tuple[Row, str]]:
    for row in rows:
        for metric in metrics:
            if metric in row.metrics and row.metrics[metric].printed:
                yield row, metric


def _letters(number: int) -> str:
    """``a`` to ``z``, then ``aa`` and so on, for numbers from 1."""
    letters = ""
    while number:
        number, last = divmod(number - 1, 26)
        letters = chr(ord("a") + last) + letters
    return letters
