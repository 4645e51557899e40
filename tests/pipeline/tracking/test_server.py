"""With a real ``mlflow server`` that is killed and started while a run logs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from data_prep.errors import TrackingError
from pipeline.tracking import DatasetInput, Tracker, TrackingSettings, start_sweep, sync
from pipeline.tracking.store import connect
from tests.pipeline.tracking.bench import write_model
from tests.pipeline.tracking.measuring import EVENING, measured
from tests.pipeline.tracking.stores import Server, quiet_mlflow
from tests.waiting import wait_for

pytestmark = [quiet_mlflow, pytest.mark.slow]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.close()


def test_a_server_that_is_down_for_a_while_loses_and_duplicates_no_point(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # so that what the address sets ends with the test
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri.replace("//", "//ada:hidden@"))
    monkeypatch.setattr("pipeline.tracking.uploader._EVERY_S", 0.1)
    monkeypatch.setattr("pipeline.tracking.uploader._LONGEST_WAIT_S", 1.0)
    sweep = start_sweep(server.uri, "experiment", "sweep", {})
    cell = tmp_path / "runs" / "sweep" / "cell"
    client = connect(server.database)  # bypasses the server, which may be down

    def history(key: str) -> list[tuple[int, float]]:
        runs = client.search_runs([sweep.experiment_id], "tags.cell = 'cell'")
        return [(m.step, m.value) for run in runs for m in client.get_metric_history(run.info.run_id, key)]

    def tracker() -> Tracker:
        return Tracker(
            cell,
            settings=TrackingSettings(
                experiment="experiment",
                sweep="sweep",
                parent_run_id=sweep.parent_run_id,
                system_metrics_every_s=0.2,
            ),
            params={"seed": 0},
            tags={},
            run_name="cell",
            data=DatasetInput(name="mnist", digest="0123456789abcdef", source="data/mnist"),
        )

    def log(tracker: Tracker, first: int, last: int) -> float:
        longest = 0.0
        for step in range(first, last):
            start = time.perf_counter()
            tracker.log("train", step, {"loss": 1.0 / (step + 1), "kl": math.nan, "bound": math.inf})
            longest = max(longest, time.perf_counter() - start)
            time.sleep(0.002)
        return longest

    with tracker() as first:
        log(first, 0, 300)
        wait_for(lambda: len(history("train/loss")) >= 100)
        server.stop()
        assert log(first, 300, 600) < 0.5  # training does not wait for the server
        wait_for(lambda: "does not accept the points" in caplog.text)
        server.start()
        log(first, 600, 700)
        wait_for(lambda: len(history("train/loss")) == 700)
        wait_for(lambda: "is back" in caplog.text)
        server.stop()
        log(first, 700, 800)
        first.model(write_model)
        first.artifact(cell / "metrics.jsonl", "tables")
        measured(cell, {"accuracy": 0.5, "worst": math.nan, "bound": math.inf})
        first.mirror_results()
        first.close("finished", bound_seconds=1.0)
    assert "launch/compare.py --sync" in caplog.text
    assert len(history("train/loss")) == 700
    with pytest.raises(TrackingError, match="cannot be used"):
        sync(cell)

    server.start()
    sync(cell)
    assert sync(cell).points == 0
    expected = [(step, 1.0 / (step + 1)) for step in range(800)]
    assert history("train/loss") == expected
    assert all(math.isnan(value) for _, value in history("train/kl"))
    assert len(history("train/kl")) == len(history("train/bound")) == 800
    samples = [step for step, _ in history("system/cpu_utilization_percentage")]
    assert samples == list(range(len(samples)))
    assert len(samples) > 2

    measured(cell, {"accuracy": 0.6, "worst": math.nan, "bound": math.inf}, time=EVENING)
    for left in (1, 0):  # only what changed
        assert sync(cell).points == left
    assert history("test/accuracy") == [(799, 0.5), (799, 0.6)]
    assert len(history("test/worst")) == len(history("test/bound")) == 1

    (run,) = client.search_runs([sweep.experiment_id], "tags.cell = 'cell'")
    assert run.info.status == "FINISHED"
    artifacts = connect(server.uri).list_artifacts(run.info.run_id)
    assert [item.path for item in artifacts] == ["measures", "tables"]
    (model,) = client.search_logged_models([sweep.experiment_id])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    downloaded = Path(
        mlflow.artifacts.download_artifacts(model.model_uri, dst_path=str(tmp_path / "downloaded"))
    )
    assert (downloaded / "weights.txt").read_text() == "weights"

    assert caplog.text.count("does not accept the points") == 2  # once per absence
    written = [*cell.iterdir(), tmp_path / "server.log"]
    assert [path.name for path in written if path.is_file() and b"hidden" in path.read_bytes()] == []
    assert "hidden" not in caplog.text + "".join(capfd.readouterr())
    assert len(caplog.records) < 10
    assert json.loads((cell / "tracking.json").read_text())["uri"] == server.uri
