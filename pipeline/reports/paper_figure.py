"""A figure of a paper, made of the figures that measures have drawn of finished runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.figures.draw import settings_in_name
from pipeline.measures.measure import settings_off_default
from pipeline.measures.paper_match import Deviation
from pipeline.measures.papers import PAPERS
from pipeline.measures.recorded import TEST, papers_of
from pipeline.measures.registry import measure_named
from pipeline.reports.finished import FinishedRun
from pipeline.reports.recipes import Recipes
from pipeline.tracking.measured import NOT_APPLICABLE, measure_statuses


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures that a measure draws, for one or more panels of a figure."""

    measure: str
    """With its settings if they are not the defaults: ``traversal_plane:labels=Smiling+Male``."""
    files: str
    """Beginning of the names of its PNG files in a cell's ``figures/``."""
    datasets: tuple[str, ...] = ()
    """Of the paper's, those that it is of; empty for all."""

    def files_of(self, run: FinishedRun) -> list[Path]:
        """The files that a run has; by default with any settings, else with just these."""
        wanted = settings_in_name(settings_off_default(measure_named(self.measure)))
        found = []
        for file in sorted((run.folder / "figures").glob("*.png")):
            name, dash, settings = file.stem.partition("-")
            if name.startswith(self.files) and (not wanted or dash + settings == wanted):
                found.append(file)
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperFigure:
    """A figure of a paper: which pictures of which systems on which data."""

    paper: str
    """Short name, a key of :data:`~pipeline.measures.papers.PAPERS`."""
    figure: str
    shows: str
    """One line for ``--list``."""
    pictures: tuple[Pictures, ...]
    systems: tuple[str, ...]
    """In the paper's order."""
    datasets: tuple[str, ...]
    """The paper's, and further ones of ours that show the same; data that stand in for them are shown too."""
    recipes: Mapping[str, Recipes]
    """By data set of the paper, the recipes that train its runs."""
    rates: tuple[float, ...] = ()
    """The supervision rates that are shown; empty for the largest that there is."""
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values that params of its runs may have, the paper's first, unless their system does not know the param."""

    @property
    def name(self) -> str:
        """``ccvae-figure7``."""
        return f"{self.paper}-figure{self.figure}"

    @property
    def source(self) -> str:
        """Citation and figure."""
        return f"{PAPERS[self.paper]}, figure {self.figure}"

    def pictures_of(self, dataset: str) -> list[Pictures]:
        """Those of one of its data sets."""
        return [each for each in self.pictures if not each.datasets or dataset in each.datasets]


@dataclass(frozen=True, slots=True)
class Shown:
    """The pictures of one run."""

    run: FinishedRun
    dataset: str
    """The paper's."""
    rate: float
    files: tuple[Path, ...]
    """PNG files in the cell's folder."""
    missing: tuple[str, ...]
    """Measures that have left no picture."""
    not_applicable: tuple[str, ...]
    """Sentences on measures that do not apply."""

    @property
    def data(self) -> str:
        """The run's, with the options by which it is a part of the paper's."""
        return self.run.shown_as(self.dataset).data

    def deviations(self, paper: str) -> list[Deviation]:
        """In what the run differs from the paper's of this system, as far as the paper's tables say."""
        instead = self.run.shown_as(self.dataset)
        found = [match.deviations for match in papers_of(instead) if match.setting.paper == paper]
        of_data = [Deviation("data", self.dataset, instead.data)] if instead.stands_for else []
        return [*of_data, *min(found, key=len, default=())]


def shown_runs(figure: PaperFigure, runs: Iterable[FinishedRun]) -> list[Shown]:
    """One run per data set, system and rate, in the paper's order.

    The one with the most pictures; of several the one with the most labels, then epochs.
    """
    runs = [run for run in runs if _has_settings(figure, run)]
    found: list[Shown] = []
    for dataset in figure.datasets:
        members = [run for run in runs if dataset in (run.data, run.original_data)]
        named = [(run.shown_as(dataset).data, run) for run in members]  # a part of the data is not the whole
        for data in sorted({name for name, _ in named}, key=lambda data: (data != dataset, data)):
            for system in figure.systems:
                same = [r for name, r in named if name == data and r.params.get("model.system") == system]
                found += _one_per_rate(figure, dataset, same)
    return found


def _one_per_rate(figure: PaperFigure, dataset: str, runs: list[FinishedRun]) -> Iterator[Shown]:
    shown = [_shown(figure, dataset, run) for run in runs]
    groups = [[s for s in shown if math.isclose(s.rate, rate)] for rate in figure.rates] or [shown]
    yield from (max(group, key=_preference) for group in groups if group)


def _has_settings(figure: PaperFigure, run: FinishedRun) -> bool:
    return all(run.params.get(name, values[0]) in values for name, values in figure.settings.items())


def _shown(figure: PaperFigure, dataset: str, run: FinishedRun) -> Shown:
    files: dict[Path, None] = {}
    missing: list[str] = []
    reasons: list[str] = []
    why_not = {
        status.measure.partition("/")[0]: status.reason
        for status in measure_statuses(run.tags)
        if (status.split, status.status) == (TEST, NOT_APPLICABLE)
    }
    for pictures in figure.pictures_of(dataset):
        of_it = pictures.files_of(run)
        files |= dict.fromkeys(of_it)
        name = pictures.measure.partition(":")[0]
        if name in why_not and not of_it:
            reasons.append(f"{name} does not apply: {why_not[name]}")
        elif not of_it:
            missing.append(pictures.measure)
    rate = float(run.params.get("data.supervision_rate", "nan"))
    return Shown(
        run, dataset, rate, tuple(files), tuple(dict.fromkeys(missing)), tuple(dict.fromkeys(reasons))
    )


def _preference(shown: Shown) -> tuple[int, float, int, int]:
    params = shown.run.params
    epochs, seed = params.get("training.epochs", "0"), params.get("seed", "0")
    return -len(shown.missing), shown.rate, int(epochs), -int(seed)
