"""Which of several runs with the same settings a report counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.reports.finished import FinishedRun


def data_of(runs: Iterable[FinishedRun], dataset: str) -> list[str]:
    """The data sets of runs that are of a paper's, or stand in for it; the paper's first."""
    found = {run.data for run in runs if dataset in (run.data, run.original_data)}
    return sorted(found, key=lambda data: (data != dataset, data))


def longest_runs(runs: Iterable[FinishedRun], data: str, params: Mapping[str, str]) -> list[FinishedRun]:
    """Those of a data set with these params that have the most epochs, the newest of each seed.

    All have the settings of the newest of them, so that a mean over seeds is of nothing else.
    """
    found = [
        run
        for run in runs
        if run.data == data and all(run.params.get(name, value) == value for name, value in params.items())
    ]
    most = max((_epochs(run) for run in found), default=0)
    longest = [run for run in found if _epochs(run) == most]
    newest = {run.params.get("seed", "0"): run for run in longest if _settings(run) == _settings(longest[-1])}
    return [newest[seed] for seed in sorted(newest, key=int)]


def _epochs(run: FinishedRun) -> int:
    return int(run.params.get("training.epochs", "0"))


def _settings(run: FinishedRun) -> dict[str, str]:
    """What decides training, but the seeds and the folder of the data."""
    seeds = ("data.label_seed", "data.folder")
    sections = ("model.", "data.", "optimiser.")
    return {
        name: text for name, text in run.params.items() if name.startswith(sections) and name not in seeds
    }
