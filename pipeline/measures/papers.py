"""The numbers in the papers, to compare with ours."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLES = Path(__file__).with_name("paper_tables.csv")

PAPERS = {
    "ccvae": "Joy et al. 2021",
    "revae": "Joy et al. 2020 (ReVAE)",
    "ccvae_study": "Pilchen et al.",
    "csvae": "Klys et al. 2018",
    "rb_vae": "Ruiz et al. 2019",
}
"""Citation of each paper."""

MEASURED_BY = {"generation_accuracy/labels_prior": "generation_accuracy:labels=prior"}
"""Metric → the measure with the settings that it has in its name, where these are not the default ones."""
_OTHERWISE_MEASURED = {("revae", "2", "celeba", "generation_accuracy"): "generation_accuracy/labels_prior"}
"""Numbers that ours with default settings are not comparable with. ReVAE's of CelebA go down to 0.43, where labels drawn
uniformly have 0.5 by chance (as in CCVAE's table 5): they are drawn otherwise, which the paper does not state."""


@dataclass(frozen=True, slots=True)
class PaperValue:
    """One number of one table."""

    paper: str
    """Short name, a key of :data:`PAPERS`."""

    table: str
    """Number of the table (or section) in the paper."""

    dataset: str
    model: str
    setting: str
    """The rest of the row or column heading, such as ``f=0.06``."""

    metric: str
    value: float
    sd: float | None
    """Standard deviation, if the paper gives one."""

    unit: str
    better: str
    """``higher``, ``lower``, or ``none`` for a descriptive number."""

    @property
    def supervision_rate(self) -> float | None:
        """The share of labelled examples that the setting names; None if it names something else."""
        name, _, number = self.setting.partition("=")
        try:
            return float(number) if name == "f" else None
        except ValueError:
            return None

    @property
    def source(self) -> str:
        """Citation and table."""
        return f"{PAPERS[self.paper]}, {place_of(self.table)}"

    def __str__(self) -> str:
        """``0.830 ± 0.010``; without the deviation if the paper gives none."""
        return f"{self.value:.3f}" if self.sd is None else f"{self.value:.3f} ± {self.sd:.3f}"


def place_of(table: str) -> str:
    """``table 1``, or ``section 5.3`` for numbers in a paper's text (``sec5.3``)."""
    return f"section {table.removeprefix('sec')}" if table.startswith("sec") else f"table {table}"


@cache
def paper_values() -> tuple[PaperValue, ...]:
    """Every number of the papers' tables, percentages as shares."""
    with TABLES.open(newline="", encoding="utf-8") as file:
        return tuple(_value(row) for row in csv.DictReader(file))


@cache
def _by_place() -> dict[tuple[str, str, str, str], list[PaperValue]]:
    found: dict[tuple[str, str, str, str], list[PaperValue]] = defaultdict(list)
    for number in paper_values():
        found[number.paper, number.model, number.dataset, number.metric].append(number)
    return dict(found)


def numbers_in(paper: str, model: str, dataset: str, metric: str) -> list[PaperValue]:
    """A paper's values for a model on a data set, in the order of its tables."""
    return _by_place().get((paper, model, dataset, metric), [])


def _value(row: dict[str, str]) -> PaperValue:
    words = {name: word for name, word in row.items() if name not in ("value", "sd")}
    scale = 1.0
    if words["unit"] == "percent":  # ours are shares
        words["unit"], scale = "fraction", 0.01
    sd = float(row["sd"]) * scale if row["sd"] else None
    place = words["paper"], words["table"], words["dataset"], words["metric"]
    words["metric"] = _OTHERWISE_MEASURED.get(place, words["metric"])
    return PaperValue(**words, value=float(row["value"]) * scale, sd=sd)
