from __future__ import annotations

import math
from contextlib import ExitStack
from functools import partialmethod
from pathlib import Path
from threading import Timer

import mlflow
import pytest

from pipeline.tracking import Tracker, TrackingSettings, read_points
from pipeline.tracking.state import exclusive
from pipeline.tracking.uploader import Uploader
from tests.pipeline.tracking.bench import Bench, write_model
from tests.pipeline.tracking.stores import quiet_mlflow
from tests.waiting import wait_for

pytestmark = quiet_mlflow


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


def test_the_end_of_a_run_waits_for_another_upload_of_it_longer_than_for_a_store_that_is_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Uploader, "close", partialmethod(Uploader.close, bound_away_seconds=0.1))
    bench.cell.mkdir(parents=True)
    with ExitStack() as other:
        other.enter_context(exclusive(bench.cell))
        with bench.tracker() as tracker:
            tracker.log("epoch", 1, {"elbo": -480.0})
            Timer(1.5, other.close).start()
    assert bench.only_run().data.metrics["epoch/elbo"] == -480.0


def test_a_short_run_that_another_process_continues_is_uploaded_by_that_one(bench: Bench) -> None:
    for step in (1, 2):
        with bench.tracker(patience_s=600.0) as tracker:
            tracker.log("train", step, {"loss": 1.0})
            tracker.model(write_model)
            tracker.close("running")
        assert bench.cells() == []
    with bench.tracker() as tracker:
        tracker.log("test", 2, {"accuracy": 1.0})
    assert bench.only_run().info.status == "FINISHED"
    assert bench.steps("train/loss") == [1, 2]
    assert len(bench.only_run().outputs.model_outputs) == 1


@pytest.mark.parametrize(("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_an_exception_ends_the_run_with_its_status(
    bench: Bench, error: type[BaseException], status: str
) -> None:
    def run() -> None:
        with bench.tracker(patience_s=600.0) as tracker:  # the end of a run is uploaded at once
            tracker.log("train", 1, {"loss": 1.0})
            raise error

    with pytest.raises(error):
        run()
    assert bench.only_run().info.status == status
    assert bench.steps("train/loss") == [1]


def test_system_metrics_are_sampled_and_continue_after_a_restart(bench: Bench) -> None:
    for _ in range(2):
        _sample_twice(bench)
    steps = bench.steps("system/cpu_utilization_percentage")
    assert steps == list(range(_samples(bench.cell)))
    names = {name for name in bench.only_run().data.metrics if name.startswith("system/")}
    assert {"system/system_memory_usage_megabytes", "system/disk_available_megabytes"} < names
    assert bench.only_run().data.tags["node"]


def _sample_twice(bench: Bench) -> None:
    before = _samples(bench.cell)
    with bench.tracker(system_metrics=True, system_metrics_every_s=0.05):
        wait_for(lambda: _samples(bench.cell) >= before + 2)


def _samples(cell: Path) -> int:
    path = cell / "metrics.jsonl"
    return sum(point.kind == "system" for point in read_points(path)) if path.exists() else 0


def test_long_and_many_params_fit(bench: Bench) -> None:
    many = {f"model.p{number}": number for number in range(230)}
    with bench.tracker(params=many | {"long": "x" * 7000}):
        pass
    params = bench.only_run().data.params
    assert len(params) == 231
    assert params["long"] == "x" * 6000


def test_without_tracking_only_the_file_is_written(tmp_path: Path) -> None:
    cell = tmp_path / "runs" / "sweep" / "cell"
    with Tracker(
        cell, settings=TrackingSettings(enabled=False), params={}, tags={}, run_name="x", data=None
    ) as tracker:
        tracker.log("train", 1, {"loss": 1.0})
        tracker.artifact(cell)
        tracker.model(write_model)
    assert [path.name for path in cell.iterdir()] == ["metrics.jsonl"]
