"""Runs with a term of this project next to those without, which are the same in everything else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from data_prep.counted import counted
from pipeline.measures.notes import earlier
from pipeline.measures.recorded import numbers_of
from pipeline.measures.summary import INCIDENTAL, LABEL_SEED, Statistic, statistic, summarise
from pipeline.measures.tables import mean_and_sd
from pipeline.measures.versions import newest_only
from pipeline.reports.finished import FinishedRun
from pipeline.reports.recipes import Recipes
from pipeline.tracking.metric_log import read_points
from pipeline.tracking.state import METRICS_FILE

_SECTIONS = ("model.", "data.", "optimiser.", "training.")
_SEEDS = (LABEL_SEED, "data.folder")
SPEED = "images_per_second"
"""Of the last epoch, in which every term has begun."""

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TermTable:
    """Measures of runs with a term, and of the same runs without."""

    name: str
    shows: str
    """One line for ``--list``."""
    term: str
    """Beginning of the names of its fields, ``consistency``; its weight is ``model.consistency_weight``."""
    measures: tuple[str, ...]
    """What its recipes measure, next to the default measures."""
    columns: Mapping[str, str]
    """Metric → heading."""
    recipes: Mapping[str, Recipes]
    """By data set, the recipes that train its runs."""

    @property
    def source(self) -> str:
        """Where it is explained."""
        return "docs/consistency.md"

    @property
    def datasets(self) -> tuple[str, ...]:
        """Those of the recipes; runs on others are shown too."""
        return tuple(self.recipes)

    @property
    def prefix(self) -> str:
        """Of its fields among a run's params."""
        return f"model.{self.term}_"

    def weight(self, run: FinishedRun) -> float:
        """0 for a run without, also one from before there was such a term."""
        return float(run.params.get(f"{self.prefix}weight", "0"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """Runs that differ in their seeds only."""

    label: str
    """What of the term distinguishes it."""
    runs: tuple[FinishedRun, ...]

    def numbers(self, split: str) -> dict[str, Statistic]:
        """By metric, over the runs; speed is of no split, and in each."""
        found: dict[str, list[float]] = {}
        for run in self.runs:
            own = {name: value for (of, name), value in numbers_of(run).items() if of == split}
            for name, value in (own | speed(run)).items():
                found.setdefault(name, []).append(value)
        return {name: statistic(values, split) for name, values in found.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Variants of runs that are the same but for the term; the one without comes first."""

    title: str
    variants: tuple[Variant, ...]
    earlier: tuple[str, ...] = ()
    """What is to be said of measures that some runs were taken with an earlier version of."""

    @property
    def splits(self) -> list[str]:
        """On which there are numbers."""
        return sorted({split for each in self.variants for run in each.runs for split, _ in numbers_of(run)})


def speed(run: FinishedRun) -> dict[str, float]:
    """Images per second of the run's last epoch, if it was recorded."""
    file = run.folder / METRICS_FILE
    if not file.is_file():
        return {}
    found = [point.metrics[SPEED] for point in read_points(file) if SPEED in point.metrics]
    return {SPEED: found[-1]} if found else {}


def comparisons(table: TermTable, runs: Iterable[FinishedRun]) -> list[Comparison]:
    """By everything that decides training but the term and the seeds; only where some run has the term."""
    groups: dict[Settings, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(_others(table, run), []).append(run)
    kept = {key: group for key, group in groups.items() if any(table.weight(run) for run in group)}
    return sorted((_comparison(table, group) for group in kept.values()), key=lambda each: each.title)


def _others(table: TermTable, run: FinishedRun) -> Settings:
    return tuple(
        sorted(
            (name, value)
            for name, value in run.params.items()
            if name.startswith(_SECTIONS)
            and not name.startswith(table.prefix)
            and name not in INCIDENTAL
            and name not in _SEEDS
        )
    )


def _comparison(table: TermTable, of_group: Sequence[FinishedRun]) -> Comparison:
    """Where some runs were measured by a newer version of a measure, the others' numbers of it do not count."""
    group, _ = newest_only(of_group)
    params = group[0].params
    title = ", ".join(
        [
            " ".join([params.get("data.name", ""), params.get("data.options", "").strip("()',")]).strip(),
            params.get("model.system", ""),
            f"f = {params.get('data.supervision_rate', '')}",
            counted(int(params.get("training.epochs", 0)), "epoch"),
        ]
    )
    with_term = [run for run in group if table.weight(run)]
    names = sorted({name for run in with_term for name in run.params if name.startswith(table.prefix)})
    differing = [name for name in names if len({run.params.get(name) for run in with_term}) > 1]
    variants: dict[tuple[float, str], dict[tuple[str | None, str | None], FinishedRun]] = {}
    for run in group:
        weight = table.weight(run)
        label = ", ".join(_said(table, run, differing)) if weight else "without"
        seeds = run.params.get("seed"), run.params.get(LABEL_SEED)
        variants.setdefault((weight, label), {})[seeds] = run
    return Comparison(
        title=title,
        earlier=tuple(earlier(summarise(of_group))),
        variants=tuple(
            Variant(label=label, runs=tuple(of_seeds.values()))
            for (_, label), of_seeds in sorted(variants.items(), key=lambda entry: entry[0])
        ),
    )


def _said(table: TermTable, run: FinishedRun, differing: Sequence[str]) -> Iterator[str]:
    yield f"weight {table.weight(run):g}"
    for name in differing:
        if name != f"{table.prefix}weight":
            yield f"{name.removeprefix(table.prefix).replace('_', ' ')} {run.params.get(name, '')}"


def as_markdown(table: TermTable, found: Sequence[Comparison]) -> str:
    """A table per comparison and split, and the runs with their figures; the command where there is none."""
    lines = [f"# {table.shows} ({table.source})", ""]
    columns = {**table.columns, SPEED: "images/s"}
    for each in found:
        for split in each.splits:
            numbers = [variant.numbers(split) for variant in each.variants]
            shown = [name for name in columns if any(name in of_variant for of_variant in numbers)]
            lines += [
                f"## {each.title}, {split}",
                "",
                f"| | n | {' | '.join(columns[name] for name in shown)} |",
                f"| --- | ---: |{' ---: |' * len(shown)}",
            ]
            for variant, of_variant in zip(each.variants, numbers, strict=True):
                cells = [_cell(of_variant.get(name), len(variant.runs)) for name in shown]
                lines.append(f"| {variant.label} | {len(variant.runs)} | {' | '.join(cells)} |")
            lines.append("")
        lines += [f"- {note}" for note in each.earlier]
        lines += [f"- {variant.label}: {run.name}" for variant in each.variants for run in variant.runs]
        lines.append("")
    if not found:
        lines += [f"- no run on {name}: {recipes.command}" for name, recipes in table.recipes.items()]
    return "\n".join(lines).rstrip() + "\n"


def _cell(number: Statistic | None, runs: int) -> str:
    """With the number of runs that it is of, if not all of a variant's runs have it."""
    if number is None:
        return ""
    return mean_and_sd(number) + ("" if number.n == runs else f" (n={number.n})")


def as_csv(table: TermTable, found: Sequence[Comparison]) -> str:
    """A line per number, of every metric that was measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["report", "runs_on", "split", "term", "metric", "mean", "sd", "n", "runs"])
    for each in found:
        for split in each.splits:
            for variant in each.variants:
                names = " ".join(run.name for run in variant.runs)
                for metric, number in sorted(variant.numbers(split).items()):
                    sd = "" if number.sd is None else number.sd
                    writer.writerow(
                        [
                            table.name,
                            each.title,
                            split,
                            variant.label,
                            metric,
                            number.mean,
                            sd,
                            number.n,
                            names,
                        ]
                    )
    return text.getvalue()
