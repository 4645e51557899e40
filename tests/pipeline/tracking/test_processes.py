"""Several processes on one SQLite file, and one that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.tracking import start_sweep, sync, tracking_uri
from pipeline.tracking.store import connect
from tests.pipeline.tracking.stores import fresh_store, quiet_mlflow
from tests.waiting import wait_for

pytestmark = [quiet_mlflow, pytest.mark.slow]

LOGGER = """
import sys, time
from pathlib import Path
from pipeline.tracking import Tracker, TrackingSettings
runs, cell, first, last, pause = sys.argv[1:]
settings = TrackingSettings(experiment="experiment", sweep="sweep", system_metrics=False)
tracker = Tracker(
    Path(runs) / "sweep" / cell, settings=settings, params={"cell": cell}, tags={}, run_name=cell, data=None
)
with tracker:
    for step in range(int(first), int(last)):
        tracker.log("train", step, {"loss": 1.0 / (step + 1)})
        time.sleep(float(pause))
    tracker.close("finished", bound_seconds=120.0)
"""


def start_logger(runs: Path, cell: str, first: int, last: int, pause: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOGGER, str(runs), cell, str(first), str(last), str(pause)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE, text=True)


def histories(runs: Path) -> dict[str, list[int]]:
    client = connect(tracking_uri(None, runs))
    experiment = client.get_experiment_by_name("experiment")
    found = client.search_runs([experiment.experiment_id], "tags.cell != ''") if experiment else []
    return {
        run.data.tags["cell"] + "/" + run.info.status: [
            metric.step for metric in client.get_metric_history(run.info.run_id, "train/loss")
        ]
        for run in found
    }


MANY_LOGGERS = """
import os, sys
import mlflow.store.tracking.sqlalchemy_store, pipeline.tracking.tracker  # once, not in each process
runs, count = sys.argv[1:]
children = []
for number in range(int(count)):
    if (child := os.fork()) == 0:
        sys.argv = ["", runs, f"cell{number}", "0", "200", "0"]
        exec(os.environ["LOGGER"])
        os._exit(0)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


def test_twelve_processes_on_a_new_store_all_succeed(tmp_path: Path) -> None:
    # Without the launcher: the first one makes the store, under a lock. MLflow alone lets none of them survive.
    command = [sys.executable, "-c", MANY_LOGGERS, str(tmp_path), "12"]
    environment = os.environ | {"LOGGER": LOGGER}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[3], env=environment, capture_output=True, text=True, timeout=180
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert histories(tmp_path) == {f"cell{number}/FINISHED": list(range(200)) for number in range(12)}


def test_the_run_of_a_killed_process_is_resumed(tmp_path: Path) -> None:
    uri = fresh_store(tmp_path)
    start_sweep(uri, "experiment", "sweep", {})
    logger = start_logger(tmp_path, "cell", 0, 10_000, 0.01)
    state = tmp_path / "sweep" / "cell" / "tracking.json"
    wait_for(lambda: state.exists() and json.loads(state.read_text())["pushed_bytes"] > 0, bound_s=180)
    os.kill(logger.pid, signal.SIGKILL)
    logger.communicate()
    pushed = histories(tmp_path)["cell/RUNNING"]
    assert pushed == list(range(len(pushed)))
    with (tmp_path / "sweep" / "cell" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 123')  # killed in the middle of a line

    resumed = start_logger(tmp_path, "cell", max(0, len(pushed) - 50), len(pushed) + 100, 0.0)
    errors = resumed.communicate(timeout=120)[1]
    assert resumed.returncode == 0, errors
    assert histories(tmp_path) == {
        "cell/FINISHED": list(range(max(histories(tmp_path)["cell/FINISHED"]) + 1))
    }
    assert sync(tmp_path / "sweep" / "cell").points == 0
