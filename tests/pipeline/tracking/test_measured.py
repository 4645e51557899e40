"""A run in MLflow shows what its cell's ``measures/`` folder says, whatever happens on the way."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from mlflow import MlflowClient

from data_prep.errors import TrackingError
from pipeline.tracking import sync
from pipeline.tracking.measured import MeasureStatus, measure_statuses, metric_prefix
from tests.pipeline.tracking.bench import Bench
from tests.pipeline.tracking.measuring import EVENING, NOON, failed, key, measured, not_applicable
from tests.pipeline.tracking.stores import quiet_mlflow

pytestmark = quiet_mlflow


def mirror(bench: Bench) -> None:
    with bench.tracker() as tracker:
        tracker.mirror_results()


def name_of(metric: str, seed: int) -> str:
    return f"test/{metric}/seed_{seed}" if seed else f"test/{metric}"


def shown(bench: Bench) -> dict[str, float]:
    return bench.only_run().data.metrics


def tag(bench: Bench, name: str) -> str | None:
    return bench.only_run().data.tags.get(f"measure.{name}")


def points(bench: Bench, name: str) -> list[float]:
    return [point.value for point in bench.client.get_metric_history(bench.only_run().info.run_id, name)]


def test_numbers_are_metrics_of_their_split_and_each_measure_has_a_tag(bench: Bench) -> None:
    with bench.tracker() as tracker:
        tracker.log("train", 30, {"elbo": -500.0})
        measured(bench.cell, {"accuracy": 0.9, "worst": math.nan, "bound": -math.inf})
        measured(bench.cell, {"accuracy": 0.8}, of=key(split="valid"))
        measured(bench.cell, {"accuracy": 0.7}, of=key(settings={"threshold": 0.4}))
        measured(bench.cell, {"elbo": -90.0}, of=key("likelihood", split="train"))
        not_applicable(bench.cell, "the model is no\nclassifier", of=key("swaps"))
        failed(bench.cell, "ValueError: no image", of=key("fid"))
        tracker.mirror_results()
    metrics = shown(bench)
    assert (metrics["test/accuracy"], metrics["valid/accuracy"]) == (0.9, 0.8)
    assert metrics["test/accuracy/threshold_0.4"] == 0.7
    assert math.isnan(metrics["test/worst"])
    assert metrics["test/bound"] < -1e308
    assert bench.steps("test/accuracy") == [30]  # where training ended
    # Training has a metric of that name, with a point at every step.
    assert (metrics["train_split/elbo"], points(bench, "train/elbo")) == (-90.0, [-500.0])
    assert measure_statuses(bench.only_run().data.tags) == [
        MeasureStatus("test", "classification", "measured", ""),
        MeasureStatus("test", "classification/threshold_0.4", "measured", ""),
        MeasureStatus("test", "fid", "failed", "ValueError: no image"),
        MeasureStatus("test", "swaps", "not applicable", "the model is no classifier"),
        MeasureStatus("train", "likelihood", "measured", ""),
        MeasureStatus("valid", "classification", "measured", ""),
    ]
    assert [metric_prefix(split) for split in ("test", "valid", "system")] == [
        "test",
        "valid",
        "system_split",
    ]


TAKES = {
    "first": (0.1, key(), NOON),
    "again": (0.2, key(rests_on={"classifier": "abc"}), EVENING),
    "corrected": (0.3, key(version=2), NOON),
}


def test_the_highest_version_is_shown_and_of_equal_ones_the_latest(bench: Bench) -> None:
    mirror(bench)
    for number, order in enumerate(permutations(TAKES)):
        taken: list[str] = []
        for name in order:
            value, of, time = TAKES[name]
            measured(bench.cell, {"accuracy": value}, of=replace(of, seed=number), time=time)
            taken.append(name)
            sync(bench.cell)
            newest = next(other for other in ("corrected", "again", "first") if other in taken)
            assert shown(bench)[name_of("accuracy", number)] == TAKES[newest][0]
        values = points(bench, name_of("accuracy", number))
        assert len(values) == len(set(values))


def test_a_repeated_measure_doubles_no_point(bench: Bench) -> None:
    mirror(bench)
    for time in (NOON, EVENING):
        measured(bench.cell, {"accuracy": 0.5, "bound": math.inf, "worst": math.nan}, time=time)
        sync(bench.cell)
    assert [len(points(bench, f"test/{name}")) for name in ("accuracy", "bound", "worst")] == [1, 1, 1]
    for time, value in ((NOON, 0.6), (EVENING, math.nan), (NOON, 0.6), (NOON, math.inf)):
        measured(bench.cell, {"accuracy": value}, time=time)  # whatever the clock of its node says
        sync(bench.cell)
        expected = pytest.approx(value, nan_ok=True)
        assert (
            math.inf if shown(bench)["test/accuracy"] > 1e308 else shown(bench)["test/accuracy"]
        ) == expected
    assert len(points(bench, "test/accuracy")) == 5


def test_a_run_of_before_shows_the_new_number_over_the_one_that_it_logged(bench: Bench) -> None:
    with bench.tracker() as tracker:
        tracker.log("test", 900, {"accuracy": 0.4, "auroc": 0.6})
    measured(bench.cell, {"accuracy": 0.5, "auroc": 0.6})
    mirror(bench)
    assert shown(bench) == {"test/accuracy": 0.5, "test/auroc": 0.6}
    assert len(points(bench, "test/auroc")) == 1


def test_a_tag_that_no_longer_holds_is_replaced(bench: Bench) -> None:
    failed(bench.cell, "ZeroDivisionError")
    mirror(bench)
    assert tag(bench, "test.classification") == "failed: ZeroDivisionError"
    measured(bench.cell, {"accuracy": 0.9})
    mirror(bench)
    assert tag(bench, "test.classification") == "measured"
    failed(bench.cell, "KeyError", of=key(version=2))
    mirror(bench)
    assert tag(bench, "test.classification") == "failed: KeyError (its numbers are of version 1)"
    assert shown(bench)["test/accuracy"] == 0.9


def test_a_number_that_a_newer_version_no_longer_gives_is_withdrawn(bench: Bench) -> None:
    measured(bench.cell, {"accuracy": 0.9, "auroc": 0.8})
    mirror(bench)
    measured(bench.cell, {"accuracy": 0.9}, of=key(version=2))
    mirror(bench)
    assert shown(bench)["test/accuracy"] == 0.9
    assert math.isnan(shown(bench)["test/auroc"])
    assert bench.only_run().data.tags["measures.withdrawn"] == "test/auroc"
    measured(bench.cell, {"accuracy": 0.9, "auroc": 0.7}, of=key(version=3))
    mirror(bench)
    assert shown(bench)["test/auroc"] == 0.7
    assert bench.only_run().data.tags["measures.withdrawn"] == ""


@pytest.mark.parametrize("arrives", [True, False])
def test_a_call_with_an_unknown_outcome_is_repaired(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    measured(bench.cell, {"accuracy": 0.5})
    mirror(bench)
    measured(bench.cell, {"accuracy": 0.6}, time=EVENING)
    log_batch, fails = MlflowClient.log_batch, [2]

    def lost(client, run_id, metrics=(), params=(), tags=()):
        if metrics and fails:
            fails.pop()
            if arrives:
                log_batch(client, run_id, metrics=metrics, params=params, tags=tags)
            raise ConnectionError("no answer")
        return log_batch(client, run_id, metrics=metrics, params=params, tags=tags)

    monkeypatch.setattr(MlflowClient, "log_batch", lost)
    mirror(bench)  # its thread tries again
    assert not fails
    assert (shown(bench)["test/accuracy"], points(bench, "test/accuracy")) == (0.6, [0.5, 0.6])


def test_a_crash_before_the_state_is_saved_doubles_nothing(bench: Bench) -> None:
    measured(bench.cell, {"accuracy": 0.5, "worst": math.nan})
    mirror(bench)
    state = json.dumps(bench.state() | {"measured_sent": ""})
    (bench.cell / "tracking.json").write_text(state)
    mirror(bench)
    assert points(bench, "test/accuracy") == [0.5]
    assert len(points(bench, "test/worst")) == 1


def test_sync_uploads_what_was_measured_while_the_store_was_down(bench: Bench) -> None:
    tracker = bench.tracker()  # its thread never runs
    measured(bench.cell, {"accuracy": 0.5})
    tracker.mirror_results()
    tracker.close("finished")
    measured(bench.cell, {"accuracy": 0.6}, time=EVENING)  # after it, by a process that was killed at once
    assert sync(bench.cell).points == 1
    assert sync(bench.cell).points == 0
    assert (shown(bench)["test/accuracy"], bench.only_run().info.status) == (0.6, "FINISHED")


def test_a_store_that_refuses_keeps_the_results_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(bench)
    measured(bench.cell, {"accuracy": 0.5})

    def away(*_, **__):
        raise ConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_batch", away)
        with pytest.raises(TrackingError):
            sync(bench.cell)
    assert sync(bench.cell).points == 1
    assert points(bench, "test/accuracy") == [0.5]


def test_a_recreated_run_or_a_lost_folder_keeps_the_numbers(bench: Bench) -> None:
    measured(bench.cell, {"accuracy": 0.5})
    mirror(bench)
    bench.client.delete_run(bench.only_run().info.run_id)
    mirror(bench)
    assert shown(bench)["test/accuracy"] == 0.5
    shutil.rmtree(bench.cell / "measures")
    mirror(bench)
    assert shown(bench)["test/accuracy"] == 0.5
    assert tag(bench, "test.classification") == "measured"


def test_figures_results_and_small_arrays_are_artifacts(bench: Bench) -> None:
    (bench.cell / "figures" / "valid").mkdir(parents=True)
    (bench.cell / "figures" / "swaps.png").write_bytes(b"png")
    (bench.cell / "figures" / "valid" / "swaps.png").write_bytes(b"png")
    small = measured(bench.cell, {"accuracy": 0.5}, arrays={"of": np.zeros(10)})
    noise = np.random.default_rng(0).random(700_000)  # 5.6 MB, and compressing it saves little
    large = measured(bench.cell, {"fid": 9.0}, of=key("fid"), arrays={"of": noise})
    mirror(bench)
    run_id = bench.only_run().info.run_id

    def names(folder: str) -> set[str]:
        return {item.path for item in bench.client.list_artifacts(run_id, folder)}

    assert names("figures") == {"figures/swaps.png", "figures/valid"}
    assert names(f"measures/{small.name}") == {
        f"measures/{small.name}/result.json",
        f"measures/{small.name}/arrays.npz",
    }
    assert names(f"measures/{large.name}") == {f"measures/{large.name}/result.json"}
