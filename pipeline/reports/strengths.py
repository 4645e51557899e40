"""Which of several runs of a system a number of a paper's table is compared with, where strengths are to be chosen, too.

Ruiz et al. 2019 tried several strengths of regularisation "and report the best results". Here the best is chosen by a number
in which no reported image is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.measures.paper_match import Match
from pipeline.measures.papers import PaperValue
from pipeline.measures.recorded import TEST, numbers_of
from pipeline.reports.finished import FinishedRun


@dataclass(frozen=True, slots=True)
class Candidate:
    """Runs that differ in their seeds only, and belong to a number."""

    values: tuple[float, ...]
    """One per run."""
    match: Match
    runs: tuple[FinishedRun, ...]
    choosing: float
    """By what it is chosen among strengths, the smaller the better; infinite if there is no such number."""

    @property
    def strength(self) -> tuple[str, ...]:
        """Its values of the params that the paper tried several values of."""
        return tuple(self.runs[0].params.get(name, "") for name in self.match.setting.tried)


def candidate(
    printed: PaperValue,
    match: Match,
    values: Sequence[float],
    runs: Sequence[FinishedRun],
    chosen_by: str | None,
) -> Candidate:
    """The runs with their numbers; ``chosen_by``: the metric by which strengths are chosen."""
    choosing = math.inf
    if chosen_by is not None and match.setting.tried:
        found = [number for run in runs if (number := numbers_of(run).get((TEST, chosen_by))) is not None]
        if found:
            choosing = sum(found) / len(found) * (-1 if printed.better == "higher" else 1)
    return Candidate(tuple(values), match, tuple(runs), choosing)


def best(candidates: Sequence[Candidate]) -> Candidate:
    """The one with the fewest deviations, of several strengths the best, otherwise the one with the most runs."""
    return min(candidates, key=lambda each: (len(each.match.deviations), each.choosing, -len(each.runs)))


def choice(candidates: Sequence[Candidate], chosen: Candidate, chosen_by: str | None) -> str:
    """``beta 10, of 2, 5, 10, chosen by …``; empty if there was no choice."""
    same = {each.strength for each in candidates if each.match.deviations == chosen.match.deviations}
    if len(same) < 2 or math.isinf(chosen.choosing):
        return ""
    names = "/".join(name.rpartition(".")[2] for name in chosen.match.setting.tried)
    of = ", ".join("/".join(each) for each in sorted(same, key=lambda each: [float(text) for text in each]))
    return f"{names} {'/'.join(chosen.strength)}, of {of}, chosen by {chosen_by}"
