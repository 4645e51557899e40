"""The numbers that the papers print, to put beside ours."""

from __future__ import annotations

import csv
import math
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
"""Citation of each paper; where two print the same number, the one named first is taken."""


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
    """What else the row or column says, such as ``f=0.06``."""

    metric: str
    value: float
    sd: float | None
    """Standard deviation, where the paper prints one."""

    unit: str
    better: str
    """``higher``, ``lower``, or ``none`` where the number only describes."""

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
        return f"{PAPERS[self.paper]}, table {self.table}"


@cache
def paper_values() -> tuple[PaperValue, ...]:
    """Every number of the papers' tables."""
    with TABLES.open(newline="", encoding="utf-8") as file:
        rows = [_value(row) for row in csv.DictReader(file)]
    order = list(PAPERS)
    return tuple(sorted(rows, key=lambda row: order.index(row.paper)))


def _value(row: dict[str, str]) -> PaperValue:
    words = {name: word for name, word in row.items() if name not in ("value", "sd")}
    return PaperValue(**words, value=float(row["value"]), sd=float(row["sd"]) if row["sd"] else None)


def paper_curve(dataset: str, model: str, metric: str) -> dict[float, PaperValue]:
    """What the papers print for a model on a data set, by supervision rate (CCVAE before ReVAE)."""
    curve: dict[float, PaperValue] = {}
    for row in paper_values():
        if (row.dataset, row.model, row.metric) == (
            dataset,
            model,
            metric,
        ) and row.supervision_rate is not None:
            curve.setdefault(row.supervision_rate, row)
    return dict(sorted(curve.items()))


def paper_value(dataset: str, model: str, supervision_rate: float, metric: str) -> PaperValue | None:
    """The number that the papers print for exactly this; None if none does."""
    for rate, row in paper_curve(dataset, model, metric).items():
        if math.isclose(rate, supervision_rate, rel_tol=1e-6):
            return row
    return None
