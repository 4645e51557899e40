"""Figures and the final model of a run."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from mlflow.models import Model

from data_prep.errors import ConfigError
from tests.pipeline.tracking.bench import Bench, write_model
from tests.pipeline.tracking.stores import quiet_mlflow

pytestmark = quiet_mlflow


def test_the_final_model_is_logged_once_and_figures_are_there(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench.tracker() as tracker:
        figures = bench.cell / "figures"
        figures.mkdir()
        (figures / "grid.png").write_bytes(b"first")
        (bench.cell / "config.json").write_text("{}")
        tracker.artifact(figures)
        tracker.artifact(bench.cell / "config.json")
        tracker.artifact(figures, "more/figures")
        (figures / "grid.png").write_bytes(b"drawn again")
        tracker.model(write_model)
    with bench.tracker() as tracker:  # measured in another job: nothing is uploaded twice
        tracker.model(write_model)
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
    there = Path(mlflow.artifacts.download_artifacts(found.model_uri, dst_path=str(tmp_path / "downloaded")))
    assert not (there / "weights.txt").is_symlink()
    assert (there / "weights.txt").read_text() == "weights"
    described = Model.load(str(there))
    assert (described.run_id, described.model_id) == (run_id, found.model_id)


def test_a_model_that_cannot_be_exported_does_not_end_the_run(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def write(folder: Path) -> None:
        (folder / "half").touch()
        raise ConfigError("its source is gone")

    with bench.tracker() as tracker:
        tracker.log("train", 1, {"loss": 1.0})
        tracker.model(write)
    assert "is not uploaded to MLflow: its source is gone" in caplog.text
    assert bench.only_run().info.status == "FINISHED"
    assert not (bench.cell / "model").exists()
