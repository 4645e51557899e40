"""From the record of a run: the numbers of its measures, and the papers' rows that belong to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from pipeline.measures.paper_match import Match, has_numbers, matches
from pipeline.tracking.measured import WITHDRAWN_TAG, measure_statuses, metric_prefix

PRESET_TAG, DEVIATIONS_TAG = "preset", "preset.deviations"
"""Tags of a run: the nearest preset of its model, and the preset's values that the model's differ from, as JSON."""
TEST = "test"
"""The split of the papers' numbers."""


def preset_tags(preset: str, deviations: Mapping[str, str]) -> dict[str, str]:
    """The tags of a run for :func:`papers_of`."""
    return {PRESET_TAG: preset, DEVIATIONS_TAG: json.dumps(dict(deviations))}


@runtime_checkable
class MeasuredRun(Protocol):
    """A run that contributes to a row."""

    @property
    def run_id(self) -> str: ...
    @property
    def params(self) -> Mapping[str, str]: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


def numbers_of(run: MeasuredRun) -> dict[tuple[str, str], float]:
    """The numbers of a run's measures by split and metric, without those that a newer version withdrew."""
    splits = {status.split for status in measure_statuses(run.tags)}
    # A run from before measures had tags logged its only split as test, whichever it was.
    prefixes = {split: metric_prefix(split) for split in splits} or {
        run.params.get("measures.split", TEST): TEST
    }
    withdrawn = run.tags.get(WITHDRAWN_TAG, "").split()
    return {
        (split, name.removeprefix(f"{prefix}/")): value
        for split, prefix in prefixes.items()
        for name, value in run.metrics.items()
        if name.startswith(f"{prefix}/") and name not in withdrawn
    }


def papers_of(run: MeasuredRun) -> tuple[Match, ...]:
    """The papers' rows that belong to a run, by the preset that its record names."""
    if not has_numbers(run.params.get("data.name", "")):
        return ()
    preset, deviations = run.tags.get(PRESET_TAG), run.tags.get(DEVIATIONS_TAG)
    if preset is not None and deviations is not None:
        return matches(run.params, preset, json.loads(deviations))
    # Recorded before runs named their preset: only the systems' code knows it, and that needs torch.
    from pipeline.models.nearest_preset import nearest_preset

    found = nearest_preset(run.params)
    return () if found is None else matches(run.params, found.name, found.deviations)
