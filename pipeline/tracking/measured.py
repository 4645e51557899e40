"""A cell's ``measures/`` folder in its MLflow run: numbers as metrics, how each measure ended as a tag, small files.

The folder is authoritative. A measure with the same split, settings and seed is one measure even if computed twice, and
its newest result counts: the latest of those with the highest version. How MLflow comes to show it, and why no
point is duplicated: see :mod:`pipeline.tracking.mirror`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from pipeline.cells.measurements import (
    ARRAYS_FILE,
    MEASURES_FOLDER,
    RESULT_FILE,
    Failure,
    MeasurementKey,
    Result,
    failures,
    results,
)
from pipeline.tracking.artifacts import note_artifact
from pipeline.tracking.metric_log import Kind, mlflow_name
from pipeline.tracking.state import UploadState

STATUS_TAG = "measure."
"""Prefix of the tag that says how a measure ended: ``measure.test.classification``."""
WITHDRAWN_TAG = "measures.withdrawn"
"""Names of metrics that a newer result no longer has; the run shows NaN for them."""
VERSIONS_TAG = "measures.versions"
"""Versions of the measures that a run's numbers are of, as JSON, only those above 1: ``{"test.linear_probes": 3}``."""
MEASURED, FAILED, NOT_APPLICABLE = "measured", "failed", "not applicable"

FIGURES_FOLDER = "figures"
_LARGEST_ARRAYS = 4 << 20
"""Bytes; larger arrays stay in the cell's folder."""
_LONGEST_NAME = 250
_LONGEST_TAG = 2000


@dataclass(frozen=True, slots=True)
class MeasureStatus:
    """How a measure of a run ended, as its tag says."""

    split: str
    measure: str
    """Its name, and its settings if they differ from the defaults: ``classification/threshold_0.4``."""
    status: str
    """``measured``, ``failed`` or ``not applicable``."""
    reason: str
    """Empty if it was measured."""


def metric_prefix(split: str) -> str:
    """Prefix of the metrics of a split; training itself has metrics in ``train/``."""
    return f"{split}_split" if split in get_args(Kind) and split != "test" else split


def measure_statuses(tags: Mapping[str, str]) -> list[MeasureStatus]:
    """The status of a run's measures from its tags, by split and name."""
    found = []
    for tag in sorted(tags):
        split, _, measure = tag.removeprefix(STATUS_TAG).partition(".")
        status, _, reason = tags[tag].partition(": ")
        if tag.startswith(STATUS_TAG) and status in (MEASURED, FAILED, NOT_APPLICABLE):
            found.append(MeasureStatus(split, measure, status, reason))
    return found


def note_results(state: UploadState, cell: Path) -> None:
    """Update what the run is to show from the ``measures/`` folder."""
    metrics: dict[str, list[str]] = {}
    tags: dict[str, str] = {}
    withdrawn: dict[str, list[str]] = {}
    versions: dict[str, int] = {}
    for takes in _takes_of_each_measure(cell):
        newest = takes[-1]
        valid = next((take for take in reversed(takes) if isinstance(take, Result)), None)
        key = newest.key
        name = mlflow_name(f"{key.split}.{key.measure}{_settings(key)}")
        tags[f"{STATUS_TAG}{name}"] = _status(newest, valid)
        if valid is None:
            continue
        if valid.numbers and valid.key.version > 1:
            versions[name] = valid.key.version
        time_ms = str(_time_ms(valid.time))
        for name, number in valid.numbers.items():
            metrics[_metric_name(key, name)] = [repr(float(number.value)), time_ms]
        once = {name for take in takes if isinstance(take, Result) for name in take.numbers}
        for name in once - set(valid.numbers):
            withdrawn[_metric_name(key, name)] = ["nan", time_ms]
    if not tags:
        return  # nothing was measured, or the folder is lost: the run is left unchanged
    tags[WITHDRAWN_TAG] = " ".join(sorted(withdrawn))
    tags[VERSIONS_TAG] = json.dumps(versions, sort_keys=True)
    state.measured = {"metrics": metrics, "withdrawn": withdrawn, "tags": tags}
    _note_files(state, cell)


def _takes_of_each_measure(cell: Path) -> Iterator[list[Result | Failure]]:
    """Results and failures of one measure together, the newest last."""
    same: dict[tuple[str, str, str, int], list[Result | Failure]] = defaultdict(list)
    takes: list[Result | Failure] = [*results(cell), *failures(cell)]
    for take in takes:
        key = take.key
        settings = json.dumps(dict(key.settings), sort_keys=True)
        same[key.split, key.measure, settings, key.seed].append(take)
    for group in same.values():
        yield sorted(group, key=lambda take: (take.key.version, _time_ms(take.time), take.key.digest))


def _status(newest: Result | Failure, valid: Result | None) -> str:
    """The tag's value; after a failure the numbers of an earlier result stay, which it mentions."""
    if isinstance(newest, Failure):
        older = f" (its numbers are of version {valid.key.version})" if valid and valid.numbers else ""
        return f"{FAILED}: {_in_one_line(newest.reason)}{older}"
    if newest.status == "not_applicable":
        return f"{NOT_APPLICABLE}: {_in_one_line(newest.reason or 'no reason is given')}"
    return MEASURED


def _settings(key: MeasurementKey) -> str:
    """``/threshold_0.4/seed_1`` for settings that differ from their defaults, else nothing."""
    settings = dict(key.settings) | ({"seed": key.seed} if key.seed else {})
    return "".join(f"/{name}_{_compact(settings[name])}" for name in sorted(settings))


def _compact(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _metric_name(key: MeasurementKey, metric: str) -> str:
    name = mlflow_name(f"{metric_prefix(key.split)}/{metric}{_settings(key)}")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _note_files(state: UploadState, cell: Path) -> None:
    figures = cell / FIGURES_FOLDER
    if figures.is_dir():
        note_artifact(state, cell, figures, FIGURES_FOLDER)
    for file in sorted((cell / MEASURES_FOLDER).glob(f"*/{RESULT_FILE}")):
        folder = f"{MEASURES_FOLDER}/{file.parent.name}"
        note_artifact(state, cell, file, folder)
        arrays = file.with_name(ARRAYS_FILE)
        if arrays.is_file() and arrays.stat().st_size <= _LARGEST_ARRAYS:
            note_artifact(state, cell, arrays, folder)


def _time_ms(time: str) -> int:
    """Milliseconds since 1970; 0 for a time that cannot be read."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return 0
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _in_one_line(text: str) -> str:
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= _LONGEST_TAG else line[: _LONGEST_TAG - 1] + "…"
