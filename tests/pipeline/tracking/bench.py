"""A store with a started sweep, and trackers for a cell of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.models import Model

from pipeline.tracking import DatasetInput, SweepRun, Tracker, TrackingSettings, start_sweep
from pipeline.tracking.store import connect
from tests.pipeline.tracking.stores import fresh_store

Params = Mapping[str, str | int | float | bool | None]

PARAMS: Params = {
    "seed": 3,
    "model.system": "ccvae",
    "data.supervision_rate": 0.06,
    "optimiser.clip": None,
    "training.amp": True,
}


def write_model(folder: Path, content: str = "weights") -> None:
    """Write a model in MLflow's format, of one file."""
    (folder / "weights.txt").write_text(content)
    Model().add_flavor("python_function", loader_module="of_nobody").save(str(folder / "MLmodel"))


class Bench:
    """A store with a started sweep, and trackers for its cell."""

    def __init__(self, tmp_path: Path) -> None:
        self.runs = tmp_path / "it's my; folder" / "runs"
        self.uri = fresh_store(self.runs)
        self.sweep: SweepRun = start_sweep(self.uri, "experiment", "sweep", {})
        self.cell = self.runs / "sweep" / "ccvae-1234abcd"
        self.client: MlflowClient = connect(self.uri)

    def tracker(
        self,
        cell: Path | None = None,
        guard=lambda: None,
        params: Params = PARAMS,
        patience_s: float = 0.0,
        **changes,
    ) -> Tracker:
        settings = {"experiment": "experiment", "sweep": "sweep", "parent_run_id": self.sweep.parent_run_id}
        settings |= {"system_metrics": False} | changes
        return Tracker(
            cell or self.cell,
            settings=TrackingSettings(**settings),  # type: ignore[arg-type]
            params=params,
            tags={"preset": "paper"},
            run_name="ccvae f=0.06",
            data=DatasetInput(
                name="fashion_mnist", digest="0123456789abcdef" * 4, source="data/fashion_mnist"
            ),
            guard=guard,
            patience_s=patience_s,
        )

    def cells(self) -> list[str]:
        found = self.client.search_runs([self.sweep.experiment_id], "tags.cell != ''")
        return [run.info.run_id for run in found]

    def only_run(self):
        """The run that counts."""
        runs = map(self.client.get_run, self.cells())
        (run_id,) = [run.info.run_id for run in runs if "replaced_by" not in run.data.tags]
        return self.client.get_run(run_id)

    def state(self) -> dict[str, Any]:
        return json.loads((self.cell / "tracking.json").read_text())

    def steps(self, key: str) -> list[int]:
        return [metric.step for metric in self.client.get_metric_history(self.only_run().info.run_id, key)]
