from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.errors import TrackingError
from pipeline.tracking import create_store, finish_sweep, start_sweep
from pipeline.tracking.store import connect
from tests.pipeline.tracking.stores import fresh_store, quiet_mlflow

pytestmark = quiet_mlflow

ODD = 'a folder\'s "odd" name; echo'


def test_a_restarted_sweep_keeps_its_parent_run(tmp_path: Path) -> None:
    uri = fresh_store(tmp_path / "runs")
    first = start_sweep(uri, "experiment", "it's a sweep", {"recipe": "quick"})
    finish_sweep(uri, first.parent_run_id, "killed")
    client = connect(uri)
    run = client.get_run(first.parent_run_id)
    assert (run.info.status, run.info.run_name) == ("KILLED", "it's a sweep")
    assert run.data.tags["recipe"] == "quick"

    second = start_sweep(uri, "experiment", "it's a sweep", {"recipe": "full"})
    assert second == first
    run = client.get_run(first.parent_run_id)
    assert (run.info.status, run.data.tags["recipe"]) == ("RUNNING", "full")
    other = start_sweep(uri, "experiment", "another", {})
    assert other.parent_run_id != first.parent_run_id
    assert other.experiment_id == first.experiment_id


def test_artifacts_go_next_to_the_sqlite_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    uri = fresh_store(tmp_path / ODD)
    run_id = start_sweep(uri, "experiment", "sweep", {}).parent_run_id
    (tmp_path / "note.txt").write_text("hello")
    connect(uri).log_artifact(run_id, str(tmp_path / "note.txt"))
    found = list((tmp_path / ODD / "mlartifacts").rglob("note.txt"))
    assert [path.read_text() for path in found] == ["hello"]
    assert list(elsewhere.iterdir()) == []


def test_a_deleted_experiment_is_restored(tmp_path: Path) -> None:
    uri = fresh_store(tmp_path)
    first = start_sweep(uri, "experiment", "sweep", {})
    connect(uri).delete_experiment(first.experiment_id)
    assert start_sweep(uri, "experiment", "sweep", {}).experiment_id == first.experiment_id


def test_a_missing_server_is_reported_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(TrackingError) as error:
            create_store(f"http://ada:hidden@127.0.0.1:{port}")
    text = str(error.value)
    assert text.startswith(f"the MLflow store http://127.0.0.1:{port} cannot be used: ")
    assert "hidden" not in text
    assert "\n" not in text


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is not a database, and longer than its header would be" * 10)
    with pytest.raises(TrackingError, match=r"mlflow\.db cannot be used: "):
        create_store(f"sqlite:///{tmp_path}/mlflow.db")


def test_importing_the_package_does_not_import_mlflow_or_torch() -> None:
    command = (
        "import sys, pipeline.tracking; print([m for m in ('mlflow', 'torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=Path(__file__).parents[3], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
