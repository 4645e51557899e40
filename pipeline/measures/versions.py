"""Numbers by different versions of a measure are not comparable: only those of the newest count, and it is said.

Which version a run's numbers are of is in its tag ``measures.versions``; runs from before there was this tag say nothing
of it, and keep all numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from pipeline.measures.reader_metrics import READER_ACCURACY
from pipeline.measures.recorded import MeasuredRun
from pipeline.measures.registry import MEASURES
from pipeline.tracking.measured import VERSIONS_TAG, measure_statuses, metric_prefix

_MEASURE_OF = {
    metric: name
    for name, kind in MEASURES.items()
    for metric in kind.metrics
    if metric != READER_ACCURACY  # of several measures
}

Run = TypeVar("Run", bound=MeasuredRun)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A measure that was taken by an earlier version."""

    split: str
    measure: str
    """With its settings if they differ from the defaults, as in a tag."""
    version: int
    newest: int
    """Of the runs that it is compared with, or, if it is theirs too, of this code."""
    left_out: bool
    """Whether other runs have newer numbers, next to which these are not shown."""


def newest_only(runs: Sequence[Run]) -> tuple[list[Run], list[tuple[Earlier, ...]]]:
    """The runs without numbers by an earlier version than others of them have; and what of each is of an earlier one."""
    of_runs = [_versions(run) for run in runs]
    newest: dict[tuple[str, str], int] = {}
    for found in of_runs:
        for measure, version in found.values():
            newest[measure] = max(version, newest.get(measure, 0))
    kept, earlier = [], []
    for run, found in zip(runs, of_runs, strict=True):
        left_out = {name for name, (measure, version) in found.items() if version < newest[measure]}
        metrics = {name: value for name, value in run.metrics.items() if name not in left_out}
        kept.append(cast("Run", replace(cast("Any", run), metrics=metrics)) if left_out else run)
        earlier.append(tuple(_earlier(found, newest)))
    return kept, earlier


def _earlier(
    found: Mapping[str, tuple[tuple[str, str], int]], newest: Mapping[tuple[str, str], int]
) -> list[Earlier]:
    said = []
    for (split, measure), version in dict.fromkeys(found.values()):
        now = MEASURES[measure.partition("/")[0]].version
        if version < newest[split, measure]:
            said.append(Earlier(split, measure, version, newest[split, measure], left_out=True))
        elif version < now:
            said.append(Earlier(split, measure, version, now, left_out=False))
    return said


def _versions(run: MeasuredRun) -> dict[str, tuple[tuple[str, str], int]]:
    """For each metric of a run, as MLflow names it: the split and measure that it is of, and that measure's version."""
    if VERSIONS_TAG not in run.tags:
        return {}
    above_first = json.loads(run.tags[VERSIONS_TAG])
    splits = {metric_prefix(status.split): status.split for status in measure_statuses(run.tags)}
    found = {}
    for name in run.metrics:
        prefix, _, metric = name.partition("/")
        bare, slash, settings = metric.partition("/")
        if prefix in splits and bare in _MEASURE_OF:
            place = splits[prefix], f"{_MEASURE_OF[bare]}{slash}{settings}"
            found[name] = place, above_first.get(".".join(place), 1)
    return found
