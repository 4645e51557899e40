"""CPU, memory, disk, network and GPU use of rank 0's node, from MLflow's own collectors."""

from __future__ import annotations

import logging
import threading
from typing import Any

from pipeline.importing_mlflow import importing_mlflow
from pipeline.tracking.metric_log import MetricLog

_logger = logging.getLogger(__name__)


class SystemMetrics(threading.Thread):
    """Samples the node every few seconds into ``metrics.jsonl``; a resumed run continues with the next sample number."""

    def __init__(self, log: MetricLog, every_s: float, after: threading.Event) -> None:
        super().__init__(name="system-metrics", daemon=True)
        self._log = log
        self._every_s = every_s
        self._after = after
        """Wait for it first: both import MLflow, and the upload is more urgent."""
        self._stopping = threading.Event()

    def run(self) -> None:
        """Sample until :meth:`stop` is called; a failure ends the sampling, not the run."""
        while not self._after.is_set():
            if self._stopping.wait(0.5):
                return
        try:
            monitors = _monitors()
            last = self._log.last_step("system")
            step = 0 if last is None else last + 1
            while not self._stopping.wait(self._every_s):
                self._log.append("system", step, _sample(monitors))
                step += 1
        except Exception as error:
            if not self._stopping.is_set():
                _logger.warning("no more system metrics for this run: %s", error)

    def stop(self) -> None:
        """End the sampling within a moment."""
        self._stopping.set()
        if self.is_alive():
            self.join(2.0)


def _monitors() -> list[Any]:
    with importing_mlflow():
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
        from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    for gpu in (GPUMonitor, ROCMMonitor):
        try:
            monitors.append(gpu())
            break
        except Exception as error:  # no such GPU or no library for it: MLflow raises various exceptions
            _logger.debug("%s: %s", gpu.__name__, error)
    return monitors


def _sample(monitors: list[Any]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for monitor in monitors:
        monitor.collect_metrics()
        metrics.update(monitor.aggregate_metrics())
        monitor.clear_metrics()
    return metrics
