"""Bringing a cell to the store that the user names, whatever that store has of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.tracking import Destination, start_sweep, sync, tracking_uri
from pipeline.tracking.backlog import is_uploaded
from pipeline.tracking.runs import read_sweep
from pipeline.tracking.store import connect
from pipeline.tracking.upload import Sent
from tests.pipeline.tracking.bench import Bench, write_model
from tests.pipeline.tracking.measuring import measured
from tests.pipeline.tracking.stores import forget_artifact_places, fresh_store, quiet_mlflow

pytestmark = quiet_mlflow

EVERYTHING = {"points": 4, "files": 4}
"""Three points and a result; config.json, a figure, result.json and the model."""


@pytest.fixture
def finished(bench: Bench) -> Bench:
    with bench.tracker() as tracker:
        for step in (1, 2, 3):
            tracker.log("train", step, {"loss": 1.0 / step})
        measured(bench.cell, {"accuracy": 0.5})
        (bench.cell / "figures").mkdir()
        (bench.cell / "figures" / "grid.png").write_bytes(b"png")
        (bench.cell / "config.json").write_text("{}")
        tracker.artifact(bench.cell / "config.json")
        tracker.mirror_results()
        tracker.model(write_model)
    return bench


def to(uri: str) -> Destination:
    parent = start_sweep(uri, "experiment", "sweep", {}).parent_run_id
    return Destination(uri=uri, experiment="experiment", sweep="sweep", sweep_id=None, parent_run_id=parent)


def artifacts(uri: str, run_id: str) -> set[str]:
    client = connect(uri)
    tops = client.list_artifacts(run_id)
    return {
        item.path
        for top in tops
        for item in (client.list_artifacts(run_id, top.path) if top.is_dir else [top])
    }


def test_another_store_gets_everything_once(finished: Bench, tmp_path: Path) -> None:
    uri = fresh_store(tmp_path / "other")
    assert is_uploaded(finished.cell, finished.uri)
    assert not is_uploaded(finished.cell, uri)
    there = to(uri)
    assert sync(finished.cell, there) == Sent(runs=1, created=1, **EVERYTHING)
    assert sync(finished.cell, there) == Sent(runs=1)
    assert is_uploaded(finished.cell, uri)
    (run,) = read_sweep(uri, "sweep")
    assert (run.status, run.metrics["train/loss"], run.metrics["test/accuracy"]) == ("FINISHED", 1 / 3, 0.5)
    assert artifacts(uri, run.run_id) >= {"config.json", "figures/grid.png"}
    back = sync(finished.cell, to(finished.uri))  # its run there is found by its key
    assert (back.created, back.points) == (0, 0)
    assert finished.only_run().data.metrics.keys() == run.metrics.keys()


def test_moved_together_with_its_store_a_cell_keeps_its_run(finished: Bench) -> None:
    before = finished.only_run().info.run_id
    runs = finished.runs.rename(finished.runs.with_name("elsewhere"))
    forget_artifact_places()
    uri, cell = tracking_uri(None, runs), runs / "sweep" / finished.cell.name
    sent = sync(cell, to(uri))
    assert (sent.created, sent.points) == (0, 0)
    (run,) = read_sweep(uri, "sweep")
    assert run.run_id == before
    assert [*finished.runs.rglob("*")] == []
    (cell / "figures" / "grid.png").write_bytes(b"drawn again")
    assert sync(cell, to(uri)) == Sent(runs=1, files=1)
    assert b"drawn again" in {path.read_bytes() for path in (runs / "mlartifacts").rglob("grid.png")}


def _delete_run(bench: Bench) -> None:
    bench.client.delete_run(bench.only_run().info.run_id)


def _delete_artifacts(bench: Bench) -> None:
    shutil.rmtree(next((bench.runs / "mlartifacts").rglob("figures")))


def _restore_an_older_backup(bench: Bench) -> None:
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric
    from mlflow.tracking._tracking_service.utils import _get_store

    with _get_store(bench.uri).ManagedSessionMaker() as session:
        session.query(SqlMetric).filter(SqlMetric.step == 3).delete()
        session.query(SqlLatestMetric).filter(SqlLatestMetric.key == "train/loss").update(
            {"value": 0.5, "step": 2}
        )
        session.query(SqlLatestMetric).filter(SqlLatestMetric.key == "test/accuracy").delete()


@pytest.mark.parametrize(
    ("lose", "brought"),
    [
        (_delete_run, Sent(runs=1, created=1, **EVERYTHING)),
        (_delete_artifacts, Sent(runs=1, files=1)),
        (_restore_an_older_backup, Sent(runs=1, points=2)),
    ],
)
def test_what_the_store_has_lost_is_brought_again(
    finished: Bench, lose: Callable[[Bench], None], brought: Sent
) -> None:
    lose(finished)
    assert sync(finished.cell, to(finished.uri)) == brought
    assert finished.steps("train/loss") == [1, 2, 3]
    assert finished.steps("test/accuracy") == [3]


def test_a_cell_of_a_copied_sweep_gets_a_run_of_its_own(finished: Bench) -> None:
    mine = to(finished.uri)
    sync(finished.cell, Destination(**{**_fields(mine), "sweep_id": "aa11"}))
    copy = Path(shutil.copytree(finished.cell.parent, finished.runs / "copy")) / finished.cell.name
    sent = sync(
        copy, Destination(**{**_fields(mine), "sweep": "copy", "sweep_id": "bb22", "parent_run_id": None})
    )
    assert sent == Sent(runs=1, created=1, **EVERYTHING)
    assert len(read_sweep(finished.uri, "sweep")) == len(read_sweep(finished.uri, "copy")) == 1


def _fields(there: Destination) -> dict:
    return {name: getattr(there, name) for name in Destination.__dataclass_fields__}
