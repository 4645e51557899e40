"""The tracking section of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from data_prep.errors import ConfigError
from pipeline.field_checks import check_above_zero
from pipeline.tracking.address import public_uri


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingSettings:
    """Whether and where a run is recorded in MLflow."""

    enabled: Annotated[bool, tyro.conf.arg(name="mlflow")] = True
    """Send metrics, figures and the model to MLflow; without it a run only writes ``metrics.jsonl``."""

    uri: str | None = None
    """Address of the MLflow store; None means MLFLOW_TRACKING_URI, else ``mlflow.db`` in the runs folder."""

    experiment: str = "traitvae"
    """MLflow experiment that holds the runs."""

    sweep: Annotated[str | None, tyro.conf.Suppress] = None
    """Name of the sweep that the run belongs to; set by the launcher."""

    parent_run_id: Annotated[str | None, tyro.conf.Suppress] = None
    """MLflow run of the whole sweep; set by the launcher."""

    system_metrics: bool = True
    """Sample CPU, memory, disk, network and GPU use of rank 0's node."""

    system_metrics_every_s: float = 10.0
    """Seconds between two such samples."""

    def __post_init__(self) -> None:
        if self.uri is not None and public_uri(self.uri) != self.uri:  # it would end up in config.json
            raise ConfigError(
                "tracking.uri contains a password; remove it there and set MLFLOW_TRACKING_URI, "
                "or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, in the environment"
            )
        if not self.experiment:
            raise ConfigError("tracking.experiment must not be empty")
        check_above_zero(self, "system_metrics_every_s")


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetInput:
    """The prepared data set that a run was trained on, as MLflow shows it."""

    name: str
    """Canonical name of the data set, such as ``fashion_mnist``."""

    digest: str
    """Digest from the manifest; MLflow keeps its first 36 characters."""

    source: str
    """Folder that the shards were read from."""
