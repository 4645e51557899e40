"""``sweep.py extend``, ``rename`` and ``remove``: sweeps that were made before."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from data_prep.errors import LaunchError, TrackingError
from launch import extend as extending
from launch import remove as removing
from launch import rename as renaming
from launch.clusters.resources import Resources
from launch.extend import new_cells
from launch.launch_record import record_launch
from launch.monitoring.named import sweeps_in
from launch.plan import with_network_copied
from launch.set_fields import parsed_grid
from launch.sweep import main
from launch.sweep_options import Sweep
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.cells.lease import hold_lease
from pipeline.config import flat
from pipeline.models.ccvae import CCVAEConfig
from pipeline.tracking import start_sweep
from pipeline.tracking.sweep_identity import claim_sweep
from tests.launch.monitoring.sweeps import say
from tests.pipeline.networks.own_networks import write_small
from tests.pipeline.runs import small_run
from tests.pipeline.tracking.stores import fresh_store


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    fresh_store(tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def sweep(runs: Path, tiny_data_set: Path) -> Path:
    """Two cells, of two rates, in MLflow with their sweep; a third run belongs to another one."""
    folder = runs / "mine"
    folder.mkdir()
    identity = claim_sweep(folder)
    uri = f"sqlite:///{runs}/mlflow.db"
    client = MlflowClient(uri)
    parents = {
        name: start_sweep(uri, "traitvae", name, {}, owner)
        for name, owner in (("mine", identity), ("other", replace(identity, id="f00", folder="/other")))
    }
    for rate in (0.5, 1.0):
        config = small_run(tiny_data_set, rate=rate)
        tracking = replace(
            config.tracking, enabled=True, sweep="mine", parent_run_id=parents["mine"].parent_run_id
        )
        config = replace(config, tracking=tracking)
        Cell.named(folder, config, tiny_data_set.name.rpartition("-")[2]).write()
    for name, parent in parents.items():
        tags = {"mlflow.parentRunId": parent.parent_run_id, "sweep": name, "cell": "c"}
        client.create_run(parent.experiment_id, tags=tags)
    return folder


def names_in_store(runs: Path) -> list[str]:
    client = MlflowClient(f"sqlite:///{runs}/mlflow.db")
    experiments = [each.experiment_id for each in client.search_experiments()]
    return sorted(run.data.tags["sweep"] for run in client.search_runs(experiments))


def cells_of(sweep: Path) -> list[Cell]:
    return [Cell.open(file) for file in sorted(sweep.glob("*/config.json"))]


def test_more_seeds_and_other_values_give_the_cells_that_the_sweep_lacks(sweep: Path) -> None:
    cells = cells_of(sweep)
    seeds = new_cells(cells, {}, 3)
    assert sorted((cell.config.data.supervision_rate, cell.config.seed) for cell in seeds) == [
        (rate, seed) for rate in (0.5, 1.0) for seed in (1, 2)
    ]
    grid = parsed_grid(["model.hidden_width=32,64", "training.epochs=4"])
    (one,) = new_cells(cells, grid, only=["-f0.5-"])  # with a width of 32, it is there
    assert flat(one.config)["model.hidden_width"] == 64
    assert len(new_cells(cells, grid, 2)) == 6
    assert not new_cells(cells, {}, 1)
    for only, number, sentence in ((["m2-"], 2, "contains m2-"), ((), 0, "seeds is 0")):
        with pytest.raises(LaunchError, match=sentence):
            new_cells(cells, {}, number, only)


def test_extend_starts_only_new_cells_as_the_sweep_was_last_started(
    sweep: Path, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[tuple[Sweep, list[str]]] = []

    def launch(options: Sweep, cells: list[Cell]) -> int:
        started.append((options, [cell.name for cell in cells]))
        return 0

    monkeypatch.setattr(extending, "run_sweep", launch)
    record_launch(sweep, Sweep(recipe="mnist", resources=Resources(hours=2.0)), ["a"])
    assert say("extend", "mine", "--set", "optimiser.learning_rate=1e-3", "--memory-gb", "8", runs=runs) == 0
    ((options, names),) = started
    assert (options.resources.hours, options.resources.memory_gb) == (2.0, 8.0)
    assert (options.name, options.recipe, options.only) == ("mine", "mnist", tuple(names))
    assert len(names) == 2
    assert capsys.readouterr().out.count("optimiser.learning_rate=0.001") == 2
    assert say("extend", "mine", "--seeds", "1", runs=runs) == 0
    assert "mine has all of these cells already" in capsys.readouterr().out
    assert say("extend", "mine", runs=runs) == 2
    assert "needs what is to be added" in capsys.readouterr().err
    assert say("extend", "mine", "--seeds", "2", "--set", "seed=3", runs=runs) == 2
    assert "--seeds and --set seed are the same" in capsys.readouterr().err
    (sweep / "asked.json").write_text("{")  # with the defaults, it would run on this machine
    assert say("extend", "mine", "--seeds", "2", runs=runs) == 2
    assert f"{sweep}/asked.json is damaged, and says how the sweep was started" in capsys.readouterr().err
    assert len(started) == 1


def test_a_renamed_sweep_keeps_its_runs_and_its_own_network(
    sweep: Path,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = cells_of(sweep)[0].config
    own = replace(config, model=CCVAEConfig(network=write_small(tmp_path)))
    cell = Cell.named(sweep, own, Path(own.data.folder).name.rpartition("-")[2])
    Cell(cell.folder, with_network_copied(cell)).write()
    identity, names = claim_sweep(sweep).id, [each.name for each in cells_of(sweep)]
    assert say("rename", "mine", "its new name", runs=runs) == 0
    assert "called its new name now" in capsys.readouterr().out
    assert names_in_store(runs) == ["its new name"] * 2 + ["other"] * 2
    renamed = cells_of(runs / "its new name")
    assert [each.name for each in renamed] == names  # opened: each still is what its hash says
    assert {each.config.tracking.sweep for each in renamed} == {"its new name"}
    (network,) = [path for each in renamed if (path := flat(each.config)["model.network"]) != "auto"]
    assert network.startswith(f"{runs}/its new name/code/network_")
    assert Path(network.rpartition(":")[0]).is_file()
    assert claim_sweep(runs / "its new name").id == identity
    assert not sweep.exists()
    assert say("rename", "its new name", "a/b", runs=runs) == 2
    (runs / "taken").mkdir()
    assert say("rename", "its new name", "taken", runs=runs) == 2
    assert "taken exists already; choose another name" in capsys.readouterr().err
    with monkeypatch.context() as at_the_same_time:
        at_the_same_time.setattr(
            renaming, "wait_for_store", lambda _: (runs / "both" / "cell").mkdir(parents=True)
        )
        assert say("rename", "its new name", "both", runs=runs) == 2
    assert "both exists already; choose another name" in capsys.readouterr().err
    assert [each.name for each in cells_of(runs / "its new name")] == names
    for damaged, problem in (
        ("{", "is not JSON: Expecting property name"),
        ("[1]", "is not the configuration"),
    ):
        (runs / "its new name" / cell.name / "config.json").write_text(damaged)
        assert say("rename", "its new name", "back", runs=runs) == 2
        assert f"{cell.name}/config.json {problem}" in capsys.readouterr().err
        assert not (runs / "back").exists()
    (runs / "its new name" / cell.name / "config.json").write_bytes(b"\xff\xfe{")
    assert say("extend", "its new name", "--seeds", "2", runs=runs) == 2
    assert f"{cell.name}/config.json is not JSON: " in capsys.readouterr().err


def unreachable(*_: object) -> int:
    raise TrackingError("the store cannot be reached")


def test_a_sweep_is_removed_with_its_runs_after_it_was_shown(
    sweep: Path, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say("remove", "mine", runs=runs) == 2  # no terminal
    shown = capsys.readouterr()
    assert f"{sweep}: 2 cells, 0 trained, 0 measured; 3 files" in shown.out
    assert "2 runs, to be deleted" in shown.out
    assert "nobody can be asked whether to remove mine, since there is no terminal: add --yes" in shown.err
    with hold_lease(cells_of(sweep)[0].folder, Attempt.here(), "train"):
        for arguments in (["remove", "mine", "--yes"], ["rename", "mine", "new"]):
            assert say(*arguments, runs=runs) == 2
            assert "mine still runs (" in capsys.readouterr().err
    with monkeypatch.context() as patched:
        patched.setattr(removing, "delete_runs", unreachable)
        assert say("remove", "mine", "--yes", runs=runs) == 2  # and all is as it was
    assert [path.name for path in runs.iterdir() if path.is_dir()] == ["mine"]
    shutil.copytree(sweep, runs / "copy")
    assert say("rename", "copy", "renamed", runs=runs) == 0
    assert say("remove", "renamed", "--yes", runs=runs) == 0  # the runs are the original's
    assert names_in_store(runs) == ["mine"] * 2 + ["other"] * 2
    assert say("remove", "mine", "--yes", runs=runs) == 0
    assert names_in_store(runs) == ["other"] * 2
    assert sorted(path.name for path in runs.iterdir() if path.is_dir()) == []


def interrupted(_: Path) -> None:
    raise KeyboardInterrupt


def test_a_sweep_is_removed_only_if_the_answer_is_yes(
    sweep: Path, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: {"remove mine? [y/N] ": ""}[question])
    with pytest.raises(SystemExit) as end:
        main(["remove", str(sweep)])
    assert end.value.code == 1
    assert json.loads((sweep / "sweep.json").read_bytes())["folder"] == str(sweep)
    monkeypatch.setattr("builtins.input", lambda question: "y")
    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(SystemExit) as end:
        main(["remove", f"{cells_of(sweep)[0].folder}/.."])  # the sweep, by another path
    assert end.value.code == 2
    assert "mine is removed, but files of it are left (interrupted): remove " in capsys.readouterr().err
    assert not sweep.exists()
    assert not sweeps_in(runs)  # the rest is none
