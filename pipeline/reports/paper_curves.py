"""A figure of a paper that is drawn from what training recorded at its steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.measures.papers import PAPERS
from pipeline.reports.chosen import data_of, longest_runs
from pipeline.reports.finished import FinishedRun
from pipeline.reports.recipes import Recipes
from pipeline.tracking.metric_log import read_points
from pipeline.tracking.state import METRICS_FILE


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperCurves:
    """A recorded term over the steps of training, of systems that differ in one setting."""

    paper: str
    """Short name, a key of :data:`~pipeline.measures.papers.PAPERS`."""
    figure: str
    shows: str
    """One line for ``--list``."""
    term: str
    """Name of the term in the record of training."""
    squared: str
    """Name of the term that is its square: both are means over the steps since the last record."""
    contenders: Mapping[str, Mapping[str, str]]
    """By name, the params of a curve's runs."""
    recipes: Mapping[str, Recipes]
    """By data set of the paper, the recipes that train its runs."""

    @property
    def name(self) -> str:
        """``ccvae-figure8``."""
        return f"{self.paper}-figure{self.figure}"

    @property
    def source(self) -> str:
        """Citation and figure."""
        return f"{PAPERS[self.paper]}, figure {self.figure}"

    @property
    def datasets(self) -> tuple[str, ...]:
        """The paper's."""
        return tuple(self.recipes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A term over the steps of one run; each point is of the steps since the one before."""

    run: FinishedRun
    contender: str
    dataset: str
    """The paper's."""
    steps: Sequence[int]
    means: Sequence[float]
    deviations: Sequence[float]

    @property
    def mean(self) -> float:
        """Over all steps."""
        widths = self._widths
        return sum(width * mean for width, mean in zip(widths, self.means, strict=True)) / sum(widths)

    @property
    def deviation(self) -> float:
        """Standard deviation from step to step around the mean of a point, so that slow changes do not count.

        NaN if every step is a point of its own.
        """
        widths = self._widths
        free = sum(widths) - len(widths)
        squares = sum(width * each**2 for width, each in zip(widths, self.deviations, strict=True))
        return math.sqrt(squares / free) if free > 0 else math.nan

    @property
    def _widths(self) -> list[int]:
        """Steps of each point."""
        return [step - before for before, step in zip((0, *self.steps), self.steps, strict=False)]


def curves(figure: PaperCurves, runs: Iterable[FinishedRun]) -> tuple[list[Curve], list[FinishedRun]]:
    """The curves by data set, contender and seed, and the runs that have not recorded the term."""
    runs = list(runs)
    found, without = [], []
    for dataset in figure.datasets:
        for data in data_of(runs, dataset):
            for contender, params in figure.contenders.items():
                for run in longest_runs(runs, data, params):
                    curve = _curve(figure, run, contender, dataset)
                    if curve is None:
                        without.append(run)
                    else:
                        found.append(curve)
    return found, without


def _curve(figure: PaperCurves, run: FinishedRun, contender: str, dataset: str) -> Curve | None:
    file = run.folder / METRICS_FILE
    points = [
        (point.step, point.metrics[figure.term], point.metrics[figure.squared])
        for point in (read_points(file) if file.is_file() else ())
        if point.kind == "train" and {figure.term, figure.squared} <= point.metrics.keys()
    ]
    if not points:
        return None
    steps, means, squares = zip(*sorted(points), strict=True)
    deviations = [math.sqrt(max(square - mean**2, 0.0)) for mean, square in zip(means, squares, strict=True)]
    return Curve(
        run=run, contender=contender, dataset=dataset, steps=steps, means=means, deviations=deviations
    )
