"""The numbers of a table are those of the cells in the user's folder, whatever became of folder and store meanwhile."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from data_prep.errors import RunError
from jobs.evaluate import evaluate_cell
from jobs.train import train_cell
from launch.compare import main as compare_main
from launch.sweep import main as sweep_main
from pipeline.cell import Cell
from pipeline.tracking.runs import list_sweeps, read_sweep
from tests.data_prep.fixtures import content
from tests.launch import tiny_sweep  # noqa: F401  (adds its recipes)
from tests.pipeline.tracking.stores import fresh_store, quiet_mlflow

pytestmark = quiet_mlflow


class Owner:
    """Somebody with a runs folder."""

    def __init__(self, tiny_raw: Path, folder: Path) -> None:
        self.runs = folder / "runs"
        self.places = ["--raw", str(tiny_raw), "--data-root", str(folder / "data"), "--runs", str(self.runs)]

    def sweep(self, *options: str, cluster: str = "debug") -> int:
        command = ["--recipe", "tiny", "--cluster", cluster, "--only", "ccvae-", "--epochs", "1"]
        with pytest.raises(SystemExit) as end:
            sweep_main([*command, "--measures", "classification", *options, *self.places])
        return int(end.value.code or 0)

    def compare(self, *options: str) -> None:
        compare_main(["--runs", str(self.runs), *options])

    @property
    def cell(self) -> Path:
        (file,) = self.runs.glob("tiny/*/config.json")
        return file.parent

    @property
    def measured(self) -> float:
        """The accuracy in the cell's own folder."""
        (file,) = self.cell.glob("measures/classification-*/result.json")
        return float(json.loads(file.read_text())["numbers"]["classification_accuracy"]["value"])

    @property
    def shown(self) -> float:
        """The accuracy in the table."""
        with (self.runs / "tiny" / "comparison" / "runs.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        return float(row["test/classification_accuracy"])


@pytest.fixture(scope="module")
def trained_once(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("owner")
    fresh_store(folder / "runs")
    assert Owner(tiny_raw, folder).sweep() == 0
    return folder


@pytest.fixture
def owner(tiny_raw: Path, trained_once: Path, tmp_path: Path) -> Owner:
    """Somebody who has trained a sweep of one cell; with its store, it is a copy of another's."""
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    return Owner(tiny_raw, tmp_path)


def alter(owner: Owner, value: float) -> None:
    """As if other code had measured something else."""
    (file,) = owner.cell.glob("measures/classification-*/result.json")
    result = json.loads(file.read_text())
    result["numbers"]["classification_accuracy"]["value"] = value
    file.write_text(json.dumps(result))


def test_after_the_folder_was_removed_the_table_has_the_new_runs_numbers(owner: Owner) -> None:
    shutil.rmtree(owner.runs / "tiny")
    assert owner.sweep("--precision", "float32") == 0
    first = owner.cell.name
    shutil.rmtree(owner.runs / "tiny")
    assert (
        owner.sweep("--precision", "float32", "--split", "train") == 0
    )  # the cell is the same, its numbers are not
    assert owner.cell.name == first
    uri = f"sqlite:///{owner.runs / 'mlflow.db'}"
    (run,) = read_sweep(uri, "tiny")
    assert run.cell == first
    assert "train_split/classification_accuracy" in run.metrics
    assert "test/classification_accuracy" not in run.metrics
    # The other sweep of that name is the one that was copied with the store.
    assert len(list_sweeps(uri)) == 2


def test_two_people_with_one_store_see_their_own_numbers(
    owner: Owner,
    tiny_raw: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", fresh_store(tmp_path / "shared"))
    other = Owner(tiny_raw, tmp_path / "other")
    shutil.copytree(owner.runs, other.runs)
    alter(other, 0.123)
    for each in (owner, other):
        with pytest.raises(SystemExit):
            each.compare("--sweep", "tiny")
        assert f"the sweep in {each.runs / 'tiny'} is not in sqlite:" in capsys.readouterr().err
        each.compare("--sync", "--sweep", "tiny")
        assert "1 run: 1 created, " in capsys.readouterr().out
        assert each.shown == each.measured
    assert other.shown == 0.123
    assert owner.shown != 0.123
    with pytest.raises(SystemExit):
        compare_main(["--sweep", "tiny", "--runs", str(tmp_path / "nobody")])
    told = capsys.readouterr().err
    assert "2 sweeps in sqlite:" in told
    assert f"{other.runs / 'tiny'} of " in told
    assert f"{owner.runs / 'tiny'} of " in told
    assert "--sweep ID" in told
    chosen = json.loads((other.runs / "tiny" / "sweep.json").read_text())["id"]
    compare_main(["--sweep", chosen[:8], "--runs", str(tmp_path / "nobody")])
    assert "0.123" in capsys.readouterr().out


def test_a_run_deleted_in_mlflow_is_missing_with_a_sentence_and_the_same_command_brings_it(
    owner: Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert owner.sweep() == 0
    before = capsys.readouterr().out
    assert "it becomes a sweep of its own in MLflow" in before
    assert "lacked in whole or in part are there now: 1 run: 1 created" in before
    uri = f"sqlite:///{owner.runs / 'mlflow.db'}"
    own = json.loads((owner.cell / "tracking.json").read_text())["run_id"]
    MlflowClient(uri).delete_run(own)
    with pytest.raises(SystemExit):
        owner.compare("--sweep", "tiny")
    printed = capsys.readouterr().out
    assert (
        f"missing in the table: 1 trained run is in {owner.runs / 'tiny'}, but not in {uri}: {owner.cell.name}"
        in printed
    )
    assert "launch/compare.py --sync --sweep tiny --runs " in printed
    assert owner.sweep("--experiment", "another") == 0
    assert "are there now: 1 run: 1 created" in capsys.readouterr().out
    assert owner.shown == owner.measured
    client = MlflowClient(uri)
    run = client.get_run(json.loads((owner.cell / "tracking.json").read_text())["run_id"])
    assert client.get_experiment(run.info.experiment_id).name == "another"
    assert run.info.status == "FINISHED"


def test_with_the_store_gone_or_the_folder_moved_the_same_command_completes_the_table(
    owner: Owner, tiny_raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = Owner(tiny_raw, owner.runs.parent / "new disk")
    moved.runs.parent.mkdir()
    owner.runs.rename(moved.runs)
    (moved.runs / "mlflow.db").unlink()
    shutil.rmtree(moved.runs / "mlartifacts")
    fresh_store(moved.runs)
    (moved.cell / "tracking.json").unlink()
    with pytest.raises(SystemExit):
        moved.compare("--sweep", "tiny")
    capsys.readouterr()
    moved.compare("--sync", "--sweep", "tiny")
    assert moved.shown == moved.measured
    assert list((moved.runs / "mlartifacts").rglob("result.json"))
    assert not owner.runs.exists()
    # Everything is there now, and the sweep has nothing to say of it.
    capsys.readouterr()
    assert moved.sweep() == 0
    assert "are there now" not in capsys.readouterr().out


def test_an_edited_cell_and_another_number_of_ranks_are_refused_before_anything_is_written(
    owner: Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(owner.runs)
    assert owner.sweep("--dry-run", cluster="local") == 2  # the recipe has two ranks, and debug only one
    told = capsys.readouterr().err
    assert (
        f"1 cell was begun with 1 rank ({owner.cell.name} is trained); with 2 ranks they are other cells"
        in told
    )
    assert "--ranks 1 resumes them; --restart starts the new ones" in told
    assert owner.sweep("--dry-run", "--restart", cluster="local") == 0
    assert owner.sweep("--dry-run", "--ranks", "1", cluster="local") == 0
    assert "done" in capsys.readouterr().out
    assert content(owner.runs) == before

    file = owner.cell / "config.json"
    content_of_its_own = file.read_text()
    edited = re.sub(r'"learning_rate": [^,]+,', '"learning_rate": 0.01,', content_of_its_own, count=1)
    file.write_text(edited)
    assert edited != content_of_its_own
    assert owner.sweep() == 2
    told = capsys.readouterr().err
    assert f"{file} was changed: its content and data set give " in told
    assert told.count("\n") == 1
    for unit in (train_cell, evaluate_cell):
        with pytest.raises(RunError, match="was changed"):
            unit(file)
    assert file.read_text() == edited
    # What a launcher writes, and a data set that was moved, are no part of what the name stands for.
    allowed = json.loads(content_of_its_own)
    allowed["tracking"]["experiment"] = "other"
    allowed["measures"]["take"] = ["likelihood"]
    folder = Path(allowed["data"]["folder"])
    allowed["data"]["folder"] = str(folder.rename(folder.with_name("renamed")))
    file.write_text(json.dumps(allowed))
    assert Cell.open(file).config.tracking.experiment == "other"
