"""Section 4.3 of the study of CCVAE: matching keypoints, the paper's matcher and ours in columns of their own."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import fill

from data_prep.counted import counted
from data_prep.program_name import program
from pipeline.figures.comparison import COLOURS
from pipeline.measures.papers import PAPERS, paper_values
from pipeline.measures.recorded import TEST, numbers_of
from pipeline.measures.summary import Statistic, statistic
from pipeline.measures.tables import mean_and_sd
from pipeline.reports.chosen import data_of, longest_runs
from pipeline.reports.finished import FinishedRun
from pipeline.reports.recipes import Recipes

PAIRS = {
    "true_reconstruction": "reconstructed",
    "label_changed_reconstruction": "switched",
    "another image's reconstruction (chance)": "other_image",
}
"""What an image is matched with: the paper's setting, and the end of our metric's name. The paper has no chance level."""
NUMBERS = {"keypoint_matches": "sift_matches", "match_confidence": "sift_confidence"}
"""The paper's metric, and the beginning of ours."""
LEFT = "left by the label's change"
"""Row: the second pair's number as a share of the first's, which does not depend on how many keypoints a matcher finds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatcherTable:
    """Matches of an image with its reconstruction, and with one of a label changed; matchers are never in one column."""

    paper: str
    section: str
    """As in ``paper_tables.csv``."""
    shows: str
    """One line for ``--list``."""
    params: Mapping[str, str]
    """Of its runs."""
    recipes: Mapping[str, Recipes]
    """By data set of the paper, the recipes that train its runs."""
    measure: str = "feature_matching"

    @property
    def name(self) -> str:
        """``ccvae_study-sec4.3``."""
        return f"{self.paper}-{self.section}"

    @property
    def source(self) -> str:
        """Citation and section."""
        return f"{PAPERS[self.paper]}, section {self.section.removeprefix('sec')}"

    @property
    def datasets(self) -> tuple[str, ...]:
        """The paper's."""
        return tuple(self.recipes)

    def printed(self, pair: str, metric: str) -> float | None:
        """The paper's number; None if it has none."""
        if pair == LEFT:
            first, second = (self.printed(each, metric) for each in list(PAIRS)[:2])
            return None if first is None or second is None else second / first
        return _printed(self.paper, self.section).get((pair, metric))


@cache
def _printed(paper: str, section: str) -> dict[tuple[str, str], float]:
    return {
        (each.setting, each.metric): each.value
        for each in paper_values()
        if (each.paper, each.table) == (paper, section)
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Matched:
    """Our numbers on one data set."""

    dataset: str
    """The paper's."""
    data: str
    runs: tuple[FinishedRun, ...]
    unmeasured: tuple[FinishedRun, ...]

    def ours(self, pair: str, metric: str) -> Statistic | None:
        """Over the runs; None without any."""
        found = [number for run in self.runs if (number := _number(run, pair, metric)) is not None]
        return statistic(found) if found else None


def _number(run: FinishedRun, pair: str, metric: str) -> float | None:
    if pair == LEFT:
        first, second = (_number(run, each, metric) for each in list(PAIRS)[:2])
        return None if not first or second is None else second / first
    return numbers_of(run).get((TEST, f"{NUMBERS[metric]}_{PAIRS[pair]}"))


def matched(table: MatcherTable, runs: Iterable[FinishedRun]) -> list[Matched]:
    """By data set; of several runs those with the most epochs."""
    runs, found = list(runs), []
    for dataset in table.datasets:
        for data in data_of(runs, dataset):
            chosen = longest_runs(runs, data, table.params)
            has = [run for run in chosen if (TEST, "sift_matches_reconstructed") in numbers_of(run)]
            without = [run for run in chosen if run not in has]
            if chosen:
                found.append(Matched(dataset=dataset, data=data, runs=tuple(has), unmeasured=tuple(without)))
    return found


def as_markdown(table: MatcherTable, found: Sequence[Matched]) -> str:
    """A table per data set, its runs, and the commands for what is missing."""
    lines = [f"# {table.source}: {table.shows}", ""]
    for each in found or [
        Matched(dataset=name, data=name, runs=(), unmeasured=()) for name in table.datasets
    ]:
        instead = "" if each.data == each.dataset else f", in place of {each.dataset}"
        lines += [
            f"## {each.data}{instead}",
            "",
            "| an image and | matches, SuperGlue (paper) | matches, SIFT (ours) | confidence, SuperGlue (paper)"
            " | confidence, SIFT (ours) |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for pair in (*PAIRS, LEFT):
            cells = []
            for metric in NUMBERS:
                printed, ours = table.printed(pair, metric), each.ours(pair, metric)
                cells += ["" if printed is None else f"{printed:.3g}", _told(ours)]
            lines.append(f"| {pair.replace('_', ' ')} | {' | '.join(cells)} |")
        lines.append("")
        for run in each.runs:
            lines.append(
                f"- run: {run.name} ({run.run_id[:8]}), {counted(int(run.params.get('training.epochs', 0)), 'epoch')},"
                f" f = {run.params.get('data.supervision_rate')}"
            )
        for sweep in dict.fromkeys(run.folder.parent.name for run in each.unmeasured):
            lines.append(
                f"- trained, but not measured: {program('measure')} {sweep} --measures {table.measure}"
            )
        lines.append("")
    there = {each.data for each in found}
    lines += [
        f"- no run on {dataset}: {recipes.command}"
        for dataset, recipes in table.recipes.items()
        if dataset not in there
    ]
    return "\n".join(lines) + "\n"


def _told(ours: Statistic | None) -> str:
    return "" if ours is None else f"{mean_and_sd(ours)} (n={ours.n})"


def as_csv(table: MatcherTable, found: Sequence[Matched]) -> str:
    """A line per number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["report", "data", "pair", "metric", "superglue_paper", "sift_mean", "sift_sd", "n", "runs"]
    )
    for each in found:
        names = " ".join(run.name for run in each.runs)
        for pair in (*PAIRS, LEFT):
            for metric in NUMBERS:
                ours = each.ours(pair, metric)
                numbers = (
                    ("", "", "") if ours is None else (ours.mean, "" if ours.sd is None else ours.sd, ours.n)
                )
                printed = table.printed(pair, metric)
                writer.writerow(
                    [table.name, each.data, pair, metric, "" if printed is None else printed, *numbers, names]
                )
    return text.getvalue()


def draw_matches(table: MatcherTable, found: Sequence[Matched], path: Path) -> bool:
    """Write a PNG with a panel per matcher and metric, bars for the pairs; whether there are numbers."""
    shown = [each for each in found if each.runs]
    if not shown:
        return False
    from matplotlib.figure import Figure  # takes long, and most who import this draw nothing

    columns = 1 + len(shown)
    figure = Figure(figsize=(1 + 2.6 * columns, 5), dpi=150, layout="constrained")
    axes = figure.subplots(len(NUMBERS), columns, squeeze=False)
    names = ["decoded", "label\nchanged", "other\nimage"]
    for row, metric in enumerate(NUMBERS):
        for column in range(columns):
            ax, values = axes[row, column], []
            for pair in PAIRS:
                if column == 0:
                    values.append((table.printed(pair, metric) or math.nan, math.nan))
                else:
                    ours = shown[column - 1].ours(pair, metric)
                    one = (math.nan, math.nan) if ours is None else (ours.mean, ours.sd or math.nan)
                    values.append(one)
            heights, errors = zip(*values, strict=True)
            ax.bar(names, heights, yerr=errors, capsize=3, color=COLOURS[column])
            ax.set_title(
                "SuperGlue (paper)" if column == 0 else f"SIFT: {shown[column - 1].data.replace('_', ' ')}",
                fontsize=8,
            )
            ax.tick_params(labelsize=7)
        axes[row, 0].set_ylabel(metric.replace("_", " "), fontsize=8)
    figure.suptitle(fill(f"{table.source}: {table.shows}", 40 * columns), fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return True
