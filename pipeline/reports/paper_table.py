"""A table of numbers in a paper, in its own arrangement, each with the number of our runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pipeline.measures.paper_match import Deviation, Match
from pipeline.measures.papers import PAPERS, PaperValue, paper_values, place_of
from pipeline.measures.recorded import TEST, numbers_of
from pipeline.measures.summary import Row, Statistic, statistic, summarise
from pipeline.reports.detail import Detail
from pipeline.reports.finished import FinishedRun
from pipeline.reports.recipes import Recipes
from pipeline.reports.significance import mann_whitney
from pipeline.reports.strengths import Candidate, best, candidate, choice


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperTable:
    """A table of a paper; its rows, columns and values are those of ``paper_tables.csv``."""

    paper: str
    """Short name, a key of :data:`~pipeline.measures.papers.PAPERS`."""
    table: str
    shows: str
    """One line for ``--list``."""
    recipes: Mapping[str, Recipes]
    """By data set of the paper, the recipes that train its runs."""
    details: Mapping[str, Detail] = field(default_factory=dict)
    """By metric, where the numbers of its settings are, if these are classes or factors."""
    chosen_by: Mapping[str, str] = field(default_factory=dict)
    """By metric, another one by which the best of several strengths of regularisation is chosen, if the paper has the best:
    one that no reported image is in."""

    @property
    def name(self) -> str:
        """``ccvae-table2``, or ``rb_vae-sec5.3`` for numbers in a paper's text."""
        return f"{self.paper}-{self.table if self.table.startswith('sec') else f'table{self.table}'}"

    @property
    def source(self) -> str:
        """Citation and table."""
        return f"{PAPERS[self.paper]}, {place_of(self.table)}"

    @property
    def datasets(self) -> tuple[str, ...]:
        """The paper's."""
        return tuple(dict.fromkeys(value.dataset for value in self.values))

    @property
    def values(self) -> list[PaperValue]:
        """The paper's numbers, row by row."""
        return [each for each in paper_values() if (each.paper, each.table) == (self.paper, self.table)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One number of the paper, and ours."""

    printed: PaperValue
    ours: Statistic | None = None
    """None if no run has it."""
    values: tuple[float, ...] = ()
    """One per run."""
    runs: tuple[FinishedRun, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    """Settings of the runs that are not the paper's."""
    unmeasured: tuple[FinishedRun, ...] = ()
    """Trained runs of this entry without the number."""
    chosen: str = ""
    """Which of several strengths this is, and by what it was chosen; empty if there was no choice."""


@dataclass(frozen=True)
class Panel:
    """The part of a table with one data set and metric."""

    data: str
    """Of our runs: the paper's, or data that stand in for it."""
    entries: tuple[Entry, ...]
    """In the paper's order."""

    @property
    def metric(self) -> str:
        return self.entries[0].printed.metric

    @property
    def dataset(self) -> str:
        """The paper's."""
        return self.entries[0].printed.dataset

    @cached_property
    def models(self) -> list[str]:
        """The rows."""
        return list(dict.fromkeys(entry.printed.model for entry in self.entries))

    @cached_property
    def settings(self) -> list[str]:
        """The columns."""
        return list(dict.fromkeys(entry.printed.setting for entry in self.entries))

    def entry(self, model: str, setting: str) -> Entry | None:
        """None if the paper has no number there."""
        found = (e for e in self.entries if (e.printed.model, e.printed.setting) == (model, setting))
        return next(found, None)

    def compared(self) -> Iterator[tuple[Entry, Entry, float | None]]:
        """The first model of a column with each other one of it, and the p of their difference; None with few runs."""
        for setting in self.settings:
            first, *others = (self.entry(model, setting) for model in self.models)
            for other in others:
                if first is not None and first.values and other is not None and other.values:
                    yield first, other, mann_whitney(first.values, other.values)


def panels(table: PaperTable, runs: Iterable[FinishedRun]) -> list[Panel]:
    """The table on the paper's data, and again on each data set that stands in for them and has runs."""
    runs, found = list(runs), []
    places = dict.fromkeys((each.dataset, each.metric) for each in table.values)
    for dataset, metric in places:
        printed = [each for each in table.values if (each.dataset, each.metric) == (dataset, metric)]
        own = [run for run in runs if run.data == dataset]
        found.append(_panel(dataset, table, printed, [own]))
        instead: dict[str, dict[str, list[FinishedRun]]] = defaultdict(lambda: defaultdict(list))
        for run in runs:
            if run.original_data == dataset:
                options = run.params.get("data.options", "")
                other = run.in_place_of(dataset)
                instead[other.data][options].append(other)
        for data, by_options in instead.items():
            panel = _panel(data, table, printed, by_options.values())
            if any(entry.runs or entry.unmeasured for entry in panel.entries):
                found.append(panel)
    return found


def _panel(
    data: str, table: PaperTable, printed: Sequence[PaperValue], runs: Iterable[Sequence[FinishedRun]]
) -> Panel:
    """``runs``: in groups whose data differ, so that no row mixes them."""
    groups = list(runs)
    by_id = {run.run_id: run for group in groups for run in group}
    rows = [row for group in groups for row in summarise(group)]
    return Panel(data, tuple(_entry(value, table, rows, by_id) for value in printed))


def _entry(value: PaperValue, table: PaperTable, rows: Sequence[Row], runs: dict[str, FinishedRun]) -> Entry:
    """The best of several rows that belong to a number (``pipeline.reports.strengths``)."""
    detail, chosen_by = table.details.get(value.metric), table.chosen_by.get(value.metric)
    candidates: list[Candidate] = []
    unmeasured: list[FinishedRun] = []
    for row in rows:
        match = _match(value, detail, row)
        if match is None:
            continue
        members = [runs[name] for name in row.run_ids]
        numbers = {run.name: _number(value, detail, run) for run in members}
        measured = [run for run in members if numbers[run.name] is not None]
        if measured:
            found = [number for number in numbers.values() if number is not None]
            candidates.append(candidate(value, match, found, measured, chosen_by))
        else:
            unmeasured += members
    if not candidates:
        return Entry(printed=value, unmeasured=tuple(unmeasured))
    chosen = best(candidates)
    instead = [Deviation("data", value.dataset, run.stands_for) for run in chosen.runs[:1] if run.stands_for]
    return Entry(
        printed=value,
        ours=statistic(chosen.values),
        values=chosen.values,
        runs=chosen.runs,
        deviations=(*instead, *chosen.match.deviations),
        chosen=choice(candidates, chosen, chosen_by),
    )


def _number(value: PaperValue, detail: Detail | None, run: FinishedRun) -> float | None:
    """The run's number; None if it is not measured."""
    if detail is not None and value.setting not in detail.whole:
        return detail.number(run, value.setting)
    return numbers_of(run).get((TEST, value.metric))


def _match(value: PaperValue, detail: Detail | None, row: Row) -> Match | None:
    """The match by which a row belongs to a number, in whichever table of the paper."""
    wanted = value.setting if detail is None else detail.row
    for match in row.papers:
        setting = match.setting
        if (setting.paper, setting.model) != (value.paper, value.model):
            continue
        rate = value.supervision_rate
        same = setting.row == wanted if rate is None else abs(row.supervision_rate - rate) < 1e-9
        if same and (setting.row is None) == (rate is not None):
            return match
    return None
