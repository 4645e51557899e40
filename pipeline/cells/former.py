"""Cells of before measuring was apart from training: one ``DONE``, one measured split, numbers only as points of the log.

Their names hash what is measured, too. ``launch/sweep.py upgrade`` brings them to the form of now; what it has to know of
the former one, and what needs no torch, is here.
"""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import Number, Result
from pipeline.measures.plan import planned
from pipeline.measures.settings import MeasuresConfig
from pipeline.tracking.metric_log import MetricLog, read_points

FORMER_DONE = "DONE"
"""What marked a cell that was trained, measured and recorded."""

_VERSIONS = {"classification": 1, "likelihood": 1}
"""Measure → its version that gives the numbers which the former code gave."""
_COUNTS = {"classification": "classified_labels", "likelihood": "measured_images"}
"""Measure → the former metric that said how many labels, or images, its numbers are over."""


def is_former(cell: CellFolder) -> bool:
    """Whether the ``config.json`` of a cell has the former form."""
    try:
        return has_former_form(json.loads(cell.config_file.read_bytes()))
    except (OSError, ValueError):
        return False


def has_former_form(said: Any) -> bool:
    """Whether the content of a ``config.json`` names a split to measure, and no measures."""
    measures = said.get("measures") if isinstance(said, dict) else None
    return isinstance(measures, dict) and "split" in measures and "take" not in measures


def in_present_form(said: dict[str, Any], label_seed: int) -> dict[str, Any]:
    """The content of a ``config.json`` of the former form, for the configuration of now.

    ``label_seed``: the seed of the data set, which decided alone which examples kept their labels.
    """
    said = copy.deepcopy(said)
    said["data"]["label_seed"] = label_seed
    model = said["model"]
    if model["system"] == "ccvae":
        weight = model.pop("nearest_example_weight", 0.0)
        if weight:  # by now a system of its own
            model |= {"system": "ccvae_one_per_class", "nearest_example_weight": weight}
    return said


def former_results(metrics: Path, said: dict[str, Any]) -> list[Result]:
    """The numbers in a former cell's ``metrics.jsonl`` as results; ``said``: its ``config.json``, in either form.

    They are of the version of their measure that gives them, so where it gives others by now it is computed again.
    """
    # The former code gave the bound without labels of an encoder that was told labels and never hidden any, too.
    versions = _VERSIONS | ({"likelihood": 0} if said["model"].get("hidden_labels") == 0 else {})
    values, _, time_ms = _test_points(metrics)
    found = []
    for entry in planned(MeasuresConfig(split=said["measures"]["split"])):
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
    """Let MLflow show no numbers of another split as those of the test split, which they were logged as."""
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
