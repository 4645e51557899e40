"""Brings the metrics and tags of an MLflow run in line with a cell's ``measures/`` folder, without duplicate points.

MLflow shows as a run's metric the point with the greatest (step, timestamp, value), and never removes one. So what the
run shows is read first, and only a value that it does not show is sent: at the last training step where the metric has no
point; else at the step of the point that is shown, if that is older, and one step later otherwise (the
newer result may have an earlier time: another node's clock, or a higher version that was computed first). Only
the fact that everything was sent is remembered: after a lost response, or a crash before the state was saved, the value
is already shown and not sent again. A point that reaches the store after its sender gave up equals the one
that is sent again in step, time and value, and the store keeps only one of two such points.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from pipeline.tracking.state import UploadState
from pipeline.tracking.store import as_logged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlflow import MlflowClient
    from mlflow.entities import Metric

_PER_BATCH = 100


def measured_digest(state: UploadState) -> str:
    """SHA-256 of what the run is to show of its measures; empty where nothing was measured."""
    if not state.measured:
        return ""
    return hashlib.sha256(json.dumps(state.measured, sort_keys=True).encode()).hexdigest()


def send_measured(
    client: MlflowClient, run_id: str, measured: Mapping[str, Any], last_step: int, guard: Callable[[], None]
) -> int:
    """Make the run show the given values and tags; returns the number of points sent.

    Args:
        client: a client of the store.
        run_id: the cell's run.
        measured: what to show, as in :class:`~pipeline.tracking.state.UploadState`.
        last_step: of training, the step of new metrics.
        guard: called before anything is sent; raises LeaseLost.
    """
    from mlflow.entities import Metric, RunTag

    shown = client.get_run(run_id).data
    points: list[Metric] = []
    for name, (text, time_ms) in measured["metrics"].items():
        value = float(text)
        if name not in shown.metrics:
            points.append(Metric(name, value, int(time_ms), last_step))
        elif not same(shown.metrics[name], value):
            points.append(_newest_point(client, run_id, name, value, int(time_ms)))
    for name, (text, time_ms) in measured["withdrawn"].items():
        if name in shown.metrics and not math.isnan(shown.metrics[name]):
            points.append(_newest_point(client, run_id, name, float(text), int(time_ms)))
    tags = [RunTag(k, v) for k, v in measured["tags"].items() if shown.tags.get(k, "") != v]
    # A tag says how to read the numbers, so it is sent with or after them.
    for first in range(0, max(len(points), len(tags)), _PER_BATCH):
        guard()
        batch = slice(first, first + _PER_BATCH)
        client.log_batch(run_id, metrics=points[batch], tags=tags[batch])
    return len(points)


def _newest_point(client: MlflowClient, run_id: str, name: str, value: float, time_ms: int) -> Metric:
    """A point that the run shows instead of its current one."""
    from mlflow.entities import Metric

    history = client.get_metric_history(run_id, name)
    shown = max(history, key=lambda point: (point.step, point.timestamp))
    return Metric(name, value, time_ms, shown.step if time_ms > shown.timestamp else shown.step + 1)


def same(shown: float, value: float) -> bool:
    """Whether a run shows a value, which may be NaN or infinite."""
    return (math.isnan(shown) and math.isnan(value)) or as_logged(shown) == value
