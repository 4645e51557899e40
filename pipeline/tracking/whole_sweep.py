"""All runs of a sweep in MLflow at once: counted, deleted, and given another name."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pipeline.tracking.address import sqlite_file, usable_uri
from pipeline.tracking.state import SWEEP_ID
from pipeline.tracking.store import connect, reporting_store_errors
from pipeline.tracking.sweep_run import PARENT, ROLE, all_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def count_runs(uri: str, ids: Collection[str]) -> int:
    """Number of the sweep's runs: of its cells, also replaced ones, and its own; 0 if there is no store.

    Args:
        uri: address of the store.
        ids: the sweep's id, and the ids that its parent run may have.

    Raises:
        TrackingError: the store cannot be reached.
    """
    return len(_with_client(uri, ids)[1])


def delete_runs(uri: str, ids: Collection[str]) -> int:
    """Delete the sweep's runs, its own last; returns how many. MLflow can restore them until ``mlflow gc``.

    Raises:
        TrackingError: the store cannot be reached; another call goes on.
    """
    client, runs = _with_client(uri, ids)
    with reporting_store_errors(uri):
        for run in runs:
            assert client is not None
            client.delete_run(run.info.run_id)
    return len(runs)


def name_sweep(uri: str, ids: Collection[str], name: str) -> int:
    """Give the sweep's runs the name of a sweep, its own run last; returns how many have it now.

    Raises:
        TrackingError: the store cannot be reached; another call goes on.
    """
    client, runs = _with_client(uri, ids)
    with reporting_store_errors(uri):
        for run in runs:
            assert client is not None
            client.set_tag(run.info.run_id, "sweep", name)
            if run.data.tags.get(ROLE) == "sweep":
                client.update_run(run.info.run_id, name=name)
    return len(runs)


def _with_client(uri: str, ids: Collection[str]) -> tuple[MlflowClient | None, list[Run]]:
    """The runs of the sweep, those of its cells first."""
    uri = usable_uri(uri)
    file = sqlite_file(uri)
    if file is not None and not file.exists():  # MLflow would create one
        return None, []
    with reporting_store_errors(uri):
        client = connect(uri)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        found: dict[str, Run] = {}
        for each in ids:
            named = list(all_runs(client, experiments, f"attributes.run_id = '{each}'"))
            if any(run.data.tags.get(SWEEP_ID, each) not in ids for run in named):
                continue  # cells of a copied folder still name the parent run of the original
            parents = [*named, *all_runs(client, experiments, f"tags.{SWEEP_ID} = '{each}'")]
            own = [run.info.run_id for run in parents if run.data.tags.get(ROLE) == "sweep"]
            for parent in dict.fromkeys([each, *own]):
                children = all_runs(client, experiments, f"tags.`{PARENT}` = '{parent}'")
                found |= {run.info.run_id: run for run in children}
            found |= {run.info.run_id: run for run in parents}
        return client, sorted(found.values(), key=lambda run: run.data.tags.get(ROLE) == "sweep")
