from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
from mlflow import MlflowClient

from data_prep.errors import LeaseLost, TrackingError
from pipeline.tracking import (
    DatasetInput,
    SweepRun,
    Tracker,
    TrackingSettings,
    read_points,
    start_sweep,
    sync,
)
from pipeline.tracking.state import UploadState
from pipeline.tracking.store import connect
from tests.pipeline.tracking.stores import fresh_store, quiet_mlflow, wait_until

pytestmark = quiet_mlflow

PARAMS: dict[str, str | int | float | bool | None] = {
    "seed": 3,
    "model.system": "ccvae",
    "data.supervision_rate": 0.06,
    "optimiser.clip": None,
    "training.amp": True,
}


class Bench:
    """A store with a started sweep, and trackers for its cell."""

    def __init__(self, tmp_path: Path) -> None:
        self.runs = tmp_path / "it's my; folder" / "runs"
        self.uri = fresh_store(self.runs)
        self.sweep: SweepRun = start_sweep(self.uri, "experiment", "sweep", {})
        self.cell = self.runs / "sweep" / "ccvae-1234abcd"
        self.client: MlflowClient = connect(self.uri)

    def tracker(self, cell: Path | None = None, guard=lambda: None, **changes) -> Tracker:
        settings = {"experiment": "experiment", "sweep": "sweep", "parent_run_id": self.sweep.parent_run_id}
        settings |= {"system_metrics": False} | changes
        return Tracker(
            cell or self.cell,
            settings=TrackingSettings(**settings),  # type: ignore[arg-type]
            params=PARAMS,
            tags={"preset": "paper"},
            run_name="ccvae f=0.06",
            data=DatasetInput(
                name="fashion_mnist", digest="0123456789abcdef" * 4, source="data/fashion_mnist"
            ),
            guard=guard,
        )

    def cells(self) -> list[str]:
        found = self.client.search_runs([self.sweep.experiment_id], "tags.cell != ''")
        return [run.info.run_id for run in found]

    def only_run(self):
        (run_id,) = self.cells()
        return self.client.get_run(run_id)

    def state(self) -> dict[str, Any]:
        return json.loads((self.cell / "tracking.json").read_text())

    def steps(self, key: str) -> list[int]:
        return [metric.step for metric in self.client.get_metric_history(self.only_run().info.run_id, key)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_run_has_its_numbers_params_tags_and_data_set(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    with bench.tracker() as tracker:
        tracker.log("train", 10, {"elbo": -500.0, "kl": math.nan, "bound": -math.inf})
        tracker.log("epoch", 1, {"elbo": -480.0})
        tracker.log("test", 469, {"accuracy": 0.87})
    run = bench.only_run()
    assert (run.info.status, run.info.run_name) == ("FINISHED", "ccvae f=0.06")
    assert run.data.params == {
        "seed": "3",
        "model.system": "ccvae",
        "data.supervision_rate": "0.06",
        "optimiser.clip": "None",
        "training.amp": "True",
    }
    expected = {
        "sweep": "sweep",
        "cell": "ccvae-1234abcd",
        "system": "ccvae",
        "preset": "paper",
        "slurm_job_id": "77",
    }
    assert expected.items() <= run.data.tags.items()
    assert run.data.tags["mlflow.parentRunId"] == bench.sweep.parent_run_id
    metrics = run.data.metrics
    assert (metrics["train/elbo"], metrics["epoch/elbo"], metrics["test/accuracy"]) == (-500.0, -480.0, 0.87)
    assert math.isnan(metrics["train/kl"])
    assert metrics["train/bound"] < -1e308  # MLflow's SQL stores have no infinity; compare.py turns it back
    dataset = run.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("fashion_mnist", ("0123456789abcdef" * 4)[:36])
    assert mlflow.data.get_source(dataset).to_dict() == {"uri": "data/fashion_mnist"}
    (logged,) = bench.client.get_metric_history(run.info.run_id, "test/accuracy")
    assert logged.timestamp == list(read_points(bench.cell / "metrics.jsonl"))[-1].time_ms


def test_a_resumed_run_goes_on_under_its_run_id_with_each_point_once(bench: Bench) -> None:
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
    wait_until(lambda: bench.state()["pushed_bytes"])
    taken[0] = True
    with bench.tracker() as newer:
        newer.log("train", 2, {"loss": 0.5})
        newer.close("running", bound_seconds=60.0)
    before = {path: path.read_bytes() for path in bench.cell.iterdir()}
    with pytest.raises(LeaseLost):
        older.artifact(bench.cell / "metrics.jsonl")
    with pytest.raises(LeaseLost):
        older.model(torch.nn.Linear(1, 1))
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
    # kill -9 between a push and the note of it: the place in the file is an old one.
    (bench.cell / "tracking.json").write_text(json.dumps(bench.state() | {"pushed_bytes": 0}))
    # And other times in the file: MLflow drops a copy that is equal in all, and must not be what saves us.
    log = bench.cell / "metrics.jsonl"
    log.write_text(log.read_text().replace('"time_ms": 1', '"time_ms": 2'))
    with bench.tracker() as tracker:
        tracker.log("train", 2500, {"loss": 2500.0})
    assert bench.steps("train/loss") == list(range(2501))


def test_a_run_whose_files_were_lost_is_found_by_its_cell(bench: Bench) -> None:
    with bench.tracker() as tracker:
        tracker.log("train", 1, {"loss": 1.0})
    with bench.tracker() as tracker:
        tracker.log("train", 4, {"loss": 0.25})
    for name in ("tracking.json", "metrics.jsonl"):
        (bench.cell / name).unlink()
    for first in (1, 2):  # the second time with a file that is short, but not empty
        with bench.tracker() as tracker:
            wait_until(lambda: bench.state()["run_id"])
            for step in range(first, first + 3):
                tracker.log("train", step, {"loss": 1.0 / step})
    assert bench.steps("train/loss") == [1, 4, 2, 3]  # in the order of time


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
        tracker.model(torch.nn.Linear(3, 2))
        tracker.close("finished", bound_seconds=0.0)

    def all_lost_and_all_there() -> bool:
        with suppress(TrackingError):
            sync(bench.cell)
            return set(lost.values()) == {0}
        return False

    wait_until(all_lost_and_all_there)
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


def test_the_final_model_loads_again_and_figures_are_there(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())
    with bench.tracker() as tracker:
        figures = bench.cell / "figures"
        figures.mkdir()
        (figures / "grid.png").write_bytes(b"first")
        (bench.cell / "config.json").write_text("{}")
        tracker.artifact(figures)
        tracker.artifact(bench.cell / "config.json")
        tracker.artifact(figures, "more/figures")
        (figures / "grid.png").write_bytes(b"drawn again")
        tracker.model(model)
    with bench.tracker() as tracker:  # measured in another job: nothing is uploaded twice
        tracker.model(model)
    run_id = bench.only_run().info.run_id
    names = {item.path for item in bench.client.list_artifacts(run_id)}
    assert names == {"config.json", "figures", "more"}
    assert [item.path for item in bench.client.list_artifacts(run_id, "more/figures")] == [
        "more/figures/grid.png"
    ]
    grid = bench.client.download_artifacts(run_id, "figures/grid.png", str(tmp_path))
    assert Path(grid).read_bytes() == b"drawn again"

    (found,) = bench.client.search_logged_models([bench.sweep.experiment_id], f"source_run_id = '{run_id}'")
    assert (found.name, found.model_type) == ("model", "ccvae")
    assert [output.model_id for output in bench.only_run().outputs.model_outputs] == [found.model_id]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", bench.uri)
    loaded = mlflow.pytorch.load_model(found.model_uri)
    image = torch.randn(5, 4)
    assert torch.equal(loaded(image), model(image))


def test_a_model_that_cannot_be_pickled_does_not_end_the_run(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    model = torch.nn.Linear(2, 2)
    model.register_forward_hook(lambda *_: None)
    with bench.tracker() as tracker:
        tracker.log("train", 1, {"loss": 1.0})
        tracker.model(model)
    assert "cannot be pickled" in caplog.text
    assert bench.only_run().info.status == "FINISHED"


@pytest.mark.parametrize(("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_an_exception_ends_the_run_with_its_status(
    bench: Bench, error: type[BaseException], status: str
) -> None:
    def run() -> None:
        with bench.tracker() as tracker:
            tracker.log("train", 1, {"loss": 1.0})
            raise error

    with pytest.raises(error):
        run()
    assert bench.only_run().info.status == status
    assert bench.steps("train/loss") == [1]


def test_system_metrics_are_sampled_and_go_on_after_a_restart(bench: Bench) -> None:
    for _ in range(2):
        before = _samples(bench.cell)
        with bench.tracker(system_metrics=True, system_metrics_every_s=0.05):
            wait_until(lambda before=before: _samples(bench.cell) >= before + 2)
    steps = bench.steps("system/cpu_utilization_percentage")
    assert steps == list(range(_samples(bench.cell)))
    names = {name for name in bench.only_run().data.metrics if name.startswith("system/")}
    assert {"system/system_memory_usage_megabytes", "system/disk_available_megabytes"} < names
    assert bench.only_run().data.tags["node"]


def _samples(cell: Path) -> int:
    path = cell / "metrics.jsonl"
    return sum(point.kind == "system" for point in read_points(path)) if path.exists() else 0


def test_a_run_deleted_in_mlflow_is_made_anew_with_all_its_points(bench: Bench) -> None:
    with bench.tracker() as tracker:
        tracker.log("train", 1, {"loss": 1.0})
    (old,) = bench.cells()
    bench.client.delete_run(old)
    with bench.tracker() as tracker:
        tracker.log("train", 2, {"loss": 0.5})
    assert bench.cells() != [old]
    assert bench.steps("train/loss") == [1, 2]


def test_long_and_many_params_fit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"model.p{number}": number for number in range(230)} | {"long": "x" * 7000}
    monkeypatch.setitem(globals(), "PARAMS", many)
    with bench.tracker():
        pass
    params = bench.only_run().data.params
    assert len(params) == 231
    assert params["long"] == "x" * 6000


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


def test_without_tracking_only_the_file_is_written(tmp_path: Path) -> None:
    cell = tmp_path / "runs" / "sweep" / "cell"
    with Tracker(
        cell, settings=TrackingSettings(enabled=False), params={}, tags={}, run_name="x", data=None
    ) as tracker:
        tracker.log("train", 1, {"loss": 1.0})
        tracker.artifact(cell)
        tracker.model(torch.nn.Linear(1, 1))
    assert [path.name for path in cell.iterdir()] == ["metrics.jsonl"]
