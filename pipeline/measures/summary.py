"""Runs into rows: mean and standard deviation over seeds, with the paper's number next to each.

Numbers of two splits are never in one column: those of the test split have the metric's name, those of another are
prefixed with it (``valid/classification_accuracy``).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pipeline.cells.record import incidental_fields
from pipeline.measures.paper_match import Deviation, Match
from pipeline.measures.papers import PaperValue
from pipeline.measures.recorded import TEST, MeasuredRun, numbers_of, papers_of
from pipeline.measures.versions import Earlier, newest_only
from pipeline.tracking.measured import MEASURED, MeasureStatus, measure_statuses, metric_prefix
from pipeline.tracking.metric_log import EPOCHS_WON

FIRST = ("classification_accuracy", "majority_baseline", "balanced_accuracy", "elbo")
"""Metrics that a table shows first, in this order."""

_VARIANT_SECTIONS = ("model.", "optimiser.", "training.", "data.")

INCIDENTAL = frozenset(incidental_fields())
"""Params that do not affect a run's result, so that they do not define variants."""

LABEL_SEED = "data.label_seed"
_LABEL_SEED_OF_BEFORE = "0"
"""The label seed of runs made before it existed: all of them had the same labelled examples."""


DATA_DIGEST = "data.digest"
_OWN_DATA = ("pictures", "idx_folder")
"""Data sets whose name does not say what is in them: two folders of these are two data sets."""

Seeds: TypeAlias = tuple[str, str]
"""A run's seed and its label seed."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A number in a paper, and how our run differs from the paper's."""

    value: PaperValue
    deviations: tuple[Deviation, ...] = ()


@dataclass(frozen=True, slots=True)
class Statistic:
    """A metric over the seeds of one row."""

    mean: float
    sd: float | None
    """Sample standard deviation (n − 1); None for a single run."""

    n: int
    split: str = TEST
    printed: tuple[Printed, ...] = ()
    """The papers' values for it; the table has the first."""

    @property
    def paper(self) -> PaperValue | None:
        """The paper's number."""
        return self.printed[0].value if self.printed else None

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        return None if self.paper is None else self.mean - self.paper.value


@dataclass(frozen=True, slots=True)
class Row:
    """Runs that differ in their seeds only."""

    dataset: str
    system: str
    settings: tuple[tuple[str, str], ...]
    """Params that distinguish it from other rows of its kind, with their values; empty if there are none."""

    supervision_rate: float
    epochs: str
    seeds: tuple[str, ...]
    """One per run."""
    run_ids: tuple[str, ...]
    metrics: dict[str, Statistic]
    """By name, prefixed with the split if it is not ``test``."""

    label_seeds: tuple[str, ...] = ()
    """The label seed of each run; empty if all examples kept their labels."""
    papers: tuple[Match, ...] = ()
    """The papers' rows that belong to it."""
    unmeasured: tuple[tuple[MeasureStatus, int], ...] = ()
    """Measures without numbers, why, and of how many of its runs."""
    won: tuple[tuple[str, int, int], ...] = ()
    """Discriminators that won epochs outright, the most epochs in one run, and in how many of its runs there were any."""
    earlier: tuple[tuple[Earlier, int], ...] = ()
    """Measures that were taken by an earlier version than others, or than today's, and of how many of its runs."""

    @property
    def varies_labels_otherwise(self) -> bool:
        """Whether the number of label seeds differs from that of seeds, so that n alone is not enough."""
        return bool(self.label_seeds) and len(set(self.label_seeds)) != len(set(self.seeds))

    @property
    def variant(self) -> str:
        """Its settings as text, ``name=value``."""
        return " ".join(f"{name}={value}" for name, value in self.settings)

    @property
    def series(self) -> tuple[str, str, str, str]:
        """The key of a line in a figure: everything but the supervision rate."""
        return self.dataset, self.system, self.variant, self.epochs


def summarise(runs: Iterable[MeasuredRun]) -> list[Row]:
    """One row per data set, system, variant, supervision rate and number of epochs.

    A variant is defined by the params of model, optimiser, training and data that differ between runs of the same
    data set, system, rate and epochs, and by the digest of data of the user's own. Of runs with the same seeds, the last
    one counts. Where some of the runs were measured by a newer version of a measure, no number of an earlier one counts.
    """
    comparable, of_each = newest_only(list(runs))
    earlier = {run.run_id: found for run, found in zip(comparable, of_each, strict=True)}
    kinds: dict[tuple[str, str, float, str], list[MeasuredRun]] = defaultdict(list)
    for run in comparable:
        kinds[_kind(run.params)].append(run)
    rows = []
    for kind, members in kinds.items():
        differing = _differing(members)
        variants: dict[tuple[tuple[str, str], ...], dict[Seeds, MeasuredRun]] = defaultdict(dict)
        for run in members:
            settings = tuple((name, _param(run, name) or "—") for name in differing)
            variants[settings][_seeds(run.params)] = run
        for settings, by_seeds in variants.items():
            said = Counter(each for run in by_seeds.values() for each in earlier[run.run_id])
            rows.append(replace(_row(kind, settings, by_seeds), earlier=tuple(said.items())))
    return sorted(rows, key=lambda row: (*row.series, row.supervision_rate))


def metric_names(rows: Sequence[Row]) -> list[str]:
    """Every metric that some row has: the test split first, of each split the main ones first."""
    splits = {name: found.split for row in rows for name, found in row.metrics.items()}

    def place(name: str) -> tuple[bool, str, int, str]:
        bare = name.removeprefix(f"{metric_prefix(splits[name])}/")
        return splits[name] != TEST, splits[name], FIRST.index(bare) if bare in FIRST else len(FIRST), bare

    return sorted(splits, key=place)


def _kind(params: Mapping[str, str]) -> tuple[str, str, float, str]:
    return (
        params.get("data.name", "—"),
        params.get("model.system", "—"),
        float(params.get("data.supervision_rate", "nan")),
        params.get("training.epochs", "—"),
    )


def _seeds(params: Mapping[str, str]) -> Seeds:
    hides_none = float(params.get("data.supervision_rate", "nan")) == 1
    return params.get("seed", ""), params.get(LABEL_SEED, "None" if hides_none else _LABEL_SEED_OF_BEFORE)


def _differing(runs: Sequence[MeasuredRun]) -> list[str]:
    names = {name for run in runs for name in run.params if name.startswith(_VARIANT_SECTIONS)}
    names -= INCIDENTAL | {LABEL_SEED}
    # Before measures had tags, a run had a single split, and another split was another run.
    splits = {run.params.get("measures.split") for run in runs if not measure_statuses(run.tags)}
    names |= {"measures.split"} if len(splits - {None}) > 1 else set()
    return [name for name in sorted({*names, DATA_DIGEST}) if len({_param(run, name) for run in runs}) > 1]


def _param(run: MeasuredRun, name: str) -> str | None:
    """A param of a run; the digest of the user's own data is the end of their folder's name."""
    if name != DATA_DIGEST:
        return run.params.get(name)
    own = run.params.get("data.name") in _OWN_DATA
    return run.params.get("data.folder", "").rpartition("-")[2] if own else None


def _row(
    kind: tuple[str, str, float, str],
    settings: tuple[tuple[str, str], ...],
    by_seeds: Mapping[Seeds, MeasuredRun],
) -> Row:
    dataset, system, rate, epochs = kind
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in by_seeds.values():
        for place, value in numbers_of(run).items():
            values[place].append(value)
    papers = papers_of(next(iter(by_seeds.values())))
    metrics = {}
    for (split, metric), found in values.items():
        printed = [
            Printed(number, match.deviations)
            for match in papers
            if split == TEST and (number := match.number(dataset, rate, metric)) is not None
        ]
        name = metric if split == TEST else f"{metric_prefix(split)}/{metric}"
        metrics[name] = statistic(found, split, tuple(printed))
    unmeasured = Counter(
        status
        for run in by_seeds.values()
        for status in measure_statuses(run.tags)
        if status.status != MEASURED
    )
    seeds = tuple(seed for seed, _ in by_seeds)
    label_seeds = tuple(label_seed for _, label_seed in by_seeds if label_seed != "None")
    run_ids = tuple(run.run_id for run in by_seeds.values())
    return Row(
        dataset,
        system,
        settings,
        rate,
        epochs,
        seeds,
        run_ids,
        metrics,
        label_seeds,
        papers,
        tuple(unmeasured.items()),
        tuple(_won(by_seeds.values())),
    )


def _won(runs: Iterable[MeasuredRun]) -> Iterator[tuple[str, int, int]]:
    """Of each discriminator that won an epoch; see ``pipeline.training.players``."""
    epochs: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        for name, value in run.metrics.items():
            if name.startswith("epoch/") and name.endswith(EPOCHS_WON) and value > 0:
                epochs[name.removeprefix("epoch/").removesuffix(EPOCHS_WON).rstrip("/")].append(int(value))
    for name, each in sorted(epochs.items()):
        yield name, max(each), len(each)


def statistic(values: Sequence[float], split: str = TEST, printed: tuple[Printed, ...] = ()) -> Statistic:
    """Mean and standard deviation of at least one number."""
    return Statistic(*_mean_and_sd(values), len(values), split, printed)


def _mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    if not all(map(math.isfinite, values)):  # statistics raises if the result is infinite or NaN
        return sum(values) / len(values), math.nan if len(values) > 1 else None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
