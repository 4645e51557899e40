"""A run that was stopped, killed or disconnected from its store resumes, without duplicate points."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from mlflow import MlflowClient

from data_prep.errors import LeaseLost, TrackingError
from pipeline.tracking import read_points, sync
from pipeline.tracking.runs import read_sweep
from pipeline.tracking.state import UploadState
from tests.pipeline.tracking.bench import Bench, write_model
from tests.pipeline.tracking.stores import quiet_mlflow
from tests.waiting import wait_for

pytestmark = quiet_mlflow


def test_a_resumed_run_keeps_its_run_id_with_each_point_once(bench: Bench) -> None:
    with bench.tracker() as tracker:
        for step in range(60):
            tracker.log("train", step, {"loss": 1.0 / (step + 1)})
        tracker.close("running", bound_seconds=60.0)
    first = bench.only_run()
    assert first.info.status == "RUNNING"
    with bench.tracker() as tracker:
        for step in range(40, 100):  # the checkpoint was of step 40
            tracker.log("train", step, {"loss": 1.0 / (step + 1)})
    run = bench.only_run()
    assert (run.info.run_id, run.info.status) == (first.info.run_id, "FINISHED")
    history = bench.client.get_metric_history(run.info.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(step, 1.0 / (step + 1)) for step in range(100)]


def test_an_older_copy_whose_cell_was_taken_over_leaves_store_and_files_as_they_are(bench: Bench) -> None:
    taken = [False]

    def guard() -> None:
        if taken[0]:
            raise LeaseLost("a newer copy has it")

    older = bench.tracker(guard=guard)
    older.__enter__()
    older.log("train", 1, {"loss": 1.0})
    wait_for(lambda: bench.state()["pushed_bytes"])
    taken[0] = True
    with bench.tracker() as newer:
        newer.log("train", 2, {"loss": 0.5})
        newer.close("running", bound_seconds=60.0)
    before = {path: path.read_bytes() for path in bench.cell.iterdir()}
    with pytest.raises(LeaseLost):
        older.artifact(bench.cell / "metrics.jsonl")
    with pytest.raises(LeaseLost):
        older.model(write_model)
    with pytest.raises(LeaseLost) as lost:
        older.log("train", 3, {"loss": 0.25})
    older.__exit__(LeaseLost, lost.value, None)
    assert {path: path.read_bytes() for path in bench.cell.iterdir()} == before
    assert bench.only_run().info.status == "RUNNING"  # neither failed nor finished by the older one
    assert bench.steps("train/loss") == [1, 2]


def test_points_pushed_before_a_kill_are_not_pushed_again(bench: Bench) -> None:
    with bench.tracker() as tracker:
        for step in range(2500):
            tracker.log("train", step, {"loss": float(step)})
    # kill -9 between a push and recording it: the position in the file is an old one.
    (bench.cell / "tracking.json").write_text(json.dumps(bench.state() | {"pushed_bytes": 0}))
    # And other times in the file: MLflow drops a copy that is equal in all, and must not be what saves us.
    log = bench.cell / "metrics.jsonl"
    log.write_text(log.read_text().replace('"time_ms": 1', '"time_ms": 2'))
    with bench.tracker() as tracker:
        tracker.log("train", 2500, {"loss": 2500.0})
    assert bench.steps("train/loss") == list(range(2501))


@pytest.mark.parametrize("lost", [("tracking.json", "metrics.jsonl"), ("tracking.json",), ("metrics.jsonl",)])
def test_a_cell_that_was_made_anew_has_a_new_run_with_exactly_its_own_numbers(
    bench: Bench, lost: tuple[str, ...]
) -> None:
    with bench.tracker() as tracker:
        tracker.log("train", 1, {"loss": 1.0})
        tracker.log("train", 2, {"loss": 0.5})
    old = bench.only_run().info.run_id
    other = bench.runs / "other sweep" / bench.cell.name
    with bench.tracker(other, sweep="other sweep", parent_run_id=None) as tracker:  # its run is another's
        tracker.log("train", 1, {"loss": 3.0})
    for name in lost:
        (bench.cell / name).unlink()
    with bench.tracker() as tracker:
        tracker.log("train", 2, {"loss": 7.0})
    (run,) = read_sweep(bench.uri, "sweep")
    assert run.run_id != old
    kept = [point.metrics["loss"] for point in read_points(bench.cell / "metrics.jsonl")]
    history = bench.client.get_metric_history(run.run_id, "train/loss")
    assert [metric.value for metric in history] == kept  # with metrics.jsonl gone, [7.0]
    assert bench.client.get_run(old).data.tags["replaced_by"] == run.run_id
    assert len(read_sweep(bench.uri, "other sweep")) == 1


def test_an_answer_that_got_lost_doubles_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = {
        "create_run": 1,
        "log_batch": 2,
        "log_model_artifacts": 1,
        "finalize_logged_model": 1,
        "log_artifact": 1,
        "set_terminated": 1,
    }
    for name in lost:
        monkeypatch.setattr(MlflowClient, name, _loses_answers(getattr(MlflowClient, name), name, lost))
    (bench.cell / "figures").mkdir(parents=True)
    (bench.cell / "figures" / "a.png").write_bytes(b"png")
    with bench.tracker() as tracker:
        for step in range(30):
            tracker.log("train", step, {"loss": float(step)})
        tracker.artifact(bench.cell / "figures")
        tracker.model(write_model)
        tracker.close("finished", bound_seconds=0.0)

    def all_lost_and_all_there() -> bool:
        with suppress(TrackingError):
            sync(bench.cell)
            return set(lost.values()) == {0}
        return False

    wait_for(all_lost_and_all_there)
    assert bench.steps("train/loss") == list(range(30))
    models = bench.client.search_logged_models([bench.sweep.experiment_id])
    assert [str(model.status) for model in models] == ["READY"]
    assert bench.only_run().info.status == "FINISHED"


def _loses_answers(call, name: str, lost: dict[str, int]):
    def wrapped(*args, **kwargs):
        result = call(*args, **kwargs)
        if lost[name] > 0:
            lost[name] -= 1
            raise ConnectionError("the answer is lost")
        return result

    return wrapped


def test_a_run_deleted_in_mlflow_is_recreated_with_all_its_points(bench: Bench) -> None:
    with bench.tracker() as tracker:
        tracker.log("train", 1, {"loss": 1.0})
    (old,) = bench.cells()
    bench.client.delete_run(old)
    with bench.tracker() as tracker:
        tracker.log("train", 2, {"loss": 0.5})
    assert bench.cells() != [old]
    assert bench.steps("train/loss") == [1, 2]


def test_a_run_of_its_own_is_found_again_by_its_key(bench: Bench) -> None:
    for other in ("a", "b"):  # two people may have equal cells in one store
        cell = bench.runs.parent / other / "runs" / "debug" / "same-cell"
        for step in (1, 2):
            with bench.tracker(cell, uri=bench.uri, sweep=None, parent_run_id=None) as tracker:
                tracker.log("train", step, {"loss": 1.0})
    histories = [
        [metric.step for metric in bench.client.get_metric_history(run_id, "train/loss")]
        for run_id in bench.cells()
    ]
    assert histories == [[1, 2], [1, 2]]
    assert UploadState.load(cell) is not None
