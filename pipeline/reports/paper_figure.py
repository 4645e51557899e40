"""A figure of a paper, made of the figures that a measure has drawn of finished runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.measures.papers import PAPERS
from pipeline.reports.finished import STAND_INS, FinishedRun
from pipeline.reports.paper_table import Recipes


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperFigure:
    """A figure of a paper: which pictures of which systems on which data."""

    paper: str
    """Short name, a key of :data:`~pipeline.measures.papers.PAPERS`."""
    figure: str
    shows: str
    """One line for ``--list``."""
    measure: str
    """The measure that draws it, with its settings if they are not the defaults."""
    files: tuple[str, ...]
    """Beginnings of the names of its PNG files in a cell's ``figures/``."""
    systems: tuple[str, ...]
    """In the paper's order."""
    datasets: tuple[str, ...]
    """The paper's; data that stand in for them are shown too."""
    recipes: Mapping[str, Recipes]
    """By data set of the paper, the recipes that train its runs."""

    @property
    def name(self) -> str:
        """``ccvae-figure7``."""
        return f"{self.paper}-figure{self.figure}"

    @property
    def source(self) -> str:
        """Citation and figure."""
        return f"{PAPERS[self.paper]}, figure {self.figure}"


@dataclass(frozen=True, slots=True)
class Shown:
    """The pictures of one run."""

    run: FinishedRun
    data: str
    files: tuple[Path, ...]
    """PNG files in the cell's folder; none if the measure is missing."""


def shown_runs(figure: PaperFigure, runs: Iterable[FinishedRun]) -> list[Shown]:
    """One run per data set and system, in the paper's order: with pictures, then the one with the most labels and epochs."""
    runs, found = list(runs), []
    for dataset in figure.datasets:
        for data in (dataset, *(name for name, original in STAND_INS.items() if original == dataset)):
            for system in figure.systems:
                members = [
                    Shown(run, data, tuple(_pictures(figure, run)))
                    for run in runs
                    if (run.params.get("data.name"), run.params.get("model.system")) == (data, system)
                ]
                if members:
                    found.append(max(members, key=_preference))
    return found


def _pictures(figure: PaperFigure, run: FinishedRun) -> list[Path]:
    files = sorted((run.folder / "figures").glob("*.png"))
    return [file for file in files if file.stem.startswith(figure.files)]


def _preference(shown: Shown) -> tuple[bool, float, int, int]:
    params = shown.run.params
    rate, epochs = params.get("data.supervision_rate", "0"), params.get("training.epochs", "0")
    return bool(shown.files), float(rate), int(epochs), -int(params.get("seed", "0"))
