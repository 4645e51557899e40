"""Stores every number of a run on disk and, once, in MLflow.

A run's rank 0 logs with a :class:`Tracker`; the launcher creates the store and the sweep's parent run before
any worker starts. Importing this package is cheap: MLflow itself (seconds) is imported when it is first
needed.
"""

from pipeline.tracking.address import on_network_disk, public_uri, tracking_uri
from pipeline.tracking.backlog import Destination, cells_with_state, sync
from pipeline.tracking.metric_log import MetricLog, Point, read_points
from pipeline.tracking.settings import DatasetInput, TrackingSettings
from pipeline.tracking.source import source_tags
from pipeline.tracking.store import create_store
from pipeline.tracking.sweep_run import SweepRun, finish_sweep, send_to_sweep, start_sweep, stop_sweep
from pipeline.tracking.tracker import Tracker

__all__ = [
    "DatasetInput",
    "Destination",
    "MetricLog",
    "Point",
    "SweepRun",
    "Tracker",
    "TrackingSettings",
    "cells_with_state",
    "create_store",
    "finish_sweep",
    "on_network_disk",
    "public_uri",
    "read_points",
    "send_to_sweep",
    "source_tags",
    "start_sweep",
    "stop_sweep",
    "sync",
    "tracking_uri",
]
