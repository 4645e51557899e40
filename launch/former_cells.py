"""Cells from before measuring was separate from training: one ``DONE``, one split, numbers only as points of the log.

Their names also hash the measures. ``launch/sweep.py upgrade`` converts them to the current format; what is known of
the old one, without importing torch, is here.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_prep.errors import ConfigError
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import Number, Result
from pipeline.measures.plan import planned
from pipeline.measures.settings import MeasuresConfig
from pipeline.tracking.metric_log import MetricLog, read_points

FORMER_DONE = "DONE"
"""What marked a cell that was trained, measured and recorded."""

_VERSIONS = {"classification": 1, "likelihood": 1}
"""Measure → its version that computes the same numbers as the old code."""
_COUNTS = {"classification": "classified_labels", "likelihood": "measured_images"}
"""Measure → the old metric with the number of its labels or images."""


def is_former(cell: CellFolder) -> bool:
    """Whether the ``config.json`` of a cell has the old format."""
    try:
        return has_former_form(cell.plain_config())
    except ConfigError:
        return False


def has_former_form(configuration: Any) -> bool:
    """Whether the content of a ``config.json`` names a split to measure, and no measures."""
    measures = configuration.get("measures") if isinstance(configuration, dict) else None
    return isinstance(measures, dict) and "split" in measures and "take" not in measures


def in_present_form(configuration: dict[str, Any], label_seed: int) -> dict[str, Any]:
    """The content of a ``config.json`` of the old format, converted to the current one.

    ``label_seed``: the seed of the data set, which was then the only seed of the labelled subset.
    """
    configuration = copy.deepcopy(configuration)
    configuration["data"]["label_seed"] = label_seed
    model = configuration["model"]
    if model["system"] == "ccvae":
        weight = model.pop("nearest_example_weight", 0.0)
        if weight:  # now a separate system
            model |= {"system": "ccvae_one_per_class", "nearest_example_weight": weight}
    return configuration


def former_results(metrics: Path, configuration: dict[str, Any]) -> list[Result]:
    """The numbers in a former cell's ``metrics.jsonl`` as results; ``configuration``: its ``config.json``, in either format.

    They have the version of the measure that computes them, so a measure that has changed since is repeated.
    """
    # The old code also computed the bound without labels of an encoder that was never trained without labels.
    versions = _VERSIONS | ({"likelihood": 0} if configuration["model"].get("hidden_labels") == 0 else {})
    values, _, time_ms = _test_points(metrics)
    found = []
    for entry in planned(MeasuresConfig(split=configuration["measures"]["split"])):
        name, metrics_of_it = entry.key.measure, entry.measure.metrics
        count = values.get(_COUNTS.get(name, ""))
        numbers = {
            metric: Number(
                value=values[metric],
                unit=described.unit,
                better=described.better,
                count=None if count is None else int(count),
            )
            for metric, described in metrics_of_it.items()
            if metric in values
        }
        if numbers:
            key = replace(entry.key, version=versions[name])
            time = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
            found.append(Result(key=key, numbers=numbers, time=time))
    return found


def withdraw_former_numbers(metrics: Path, split: str) -> None:
    """Withdraw numbers of another split from MLflow, where they were logged as the test split's."""
    values, step, _ = _test_points(metrics)
    if split == "test" or not values:
        return
    log = MetricLog(metrics)
    try:
        log.append("test", step + 1, dict.fromkeys(values, math.nan))
    finally:
        log.close()


def _test_points(metrics: Path) -> tuple[dict[str, float], int, int]:
    """The last number of each metric that was logged as measured, with step and time (ms) of the last."""
    values: dict[str, float] = {}
    step = time_ms = 0
    for point in read_points(metrics) if metrics.is_file() else ():
        if point.kind == "test" and not any(map(math.isnan, point.metrics.values())):
            values |= point.metrics
            step, time_ms = point.step, point.time_ms
    return values, step, time_ms
