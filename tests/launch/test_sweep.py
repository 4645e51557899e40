from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from launch.chosen_runs import chosen_runs
from launch.clusters.slurm.register import Register
from launch.recipes import RECIPES
from launch.recipes.named import find_recipe
from launch.sweep import main
from launch.sweep_options import Sweep
from pipeline.cells.folder import CellFolder
from pipeline.measures.plan import is_done
from tests.launch import tiny_sweep  # noqa: F401  (adds its recipes)
from tests.pipeline.tracking.stores import fresh_store
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
ON_SLURM = ("--recipe", "tiny", "--cluster", "slurm", "--hours", "0.5")


@pytest.fixture
def places(tiny_raw: Path, tmp_path: Path) -> list[str]:
    return ["--raw", str(tiny_raw), "--data-root", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]


def sweep(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return int(end.value.code or 0)


def cells(tmp_path: Path, name: str = "tiny") -> list[Path]:
    return sorted(path.parent for path in (tmp_path / "runs" / name).glob("*/config.json"))


def runs_of(tmp_path: Path, name: str) -> list:
    """All runs of a sweep in the store, its own among them."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("traitvae")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.sweep = '{name}'"))


def finished_runs(tmp_path: Path, name: str = "tiny") -> list:
    return [run for run in runs_of(tmp_path, name) if run.data.tags.get("role") != "sweep"]


def test_without_a_recipe_the_quick_one_is_used_with_a_message(places, tmp_path, capsys):
    places = places[2:]  # the quick recipe has a data set of its own
    assert sweep("--dry-run", *places) == 0
    printed = capsys.readouterr().out
    assert "using the quick one, fashion-mnist-quick" in printed
    assert printed.count("to be trained") == 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["seed0"]),
        (["--seeds", "2"], ["seed0", "seed1"]),
        (["--seeds", "2", "--label-seed", "0"], ["seed0", "seed1-labels0"]),
        (["--label-seed", "3"], ["seed0-labels3"]),
    ],
)
def test_labelled_examples_vary_with_the_seeds_unless_they_are_held_fixed(places, capsys, arguments, names):
    assert sweep("--recipe", "tiny", "--dry-run", *arguments, *places) == 0
    found = re.findall(r"\b(?:ccvae|m2)-idx_folder-f0\.5-(\S+)-[0-9a-f]{8}", capsys.readouterr().out)
    assert sorted(found) == sorted(2 * names)


def test_systems_without_a_field_are_named_if_they_are_chosen(places, capsys):
    for only, named in [(["ccvae-"], False), (["ccvae-", "m2-"], True)]:
        assert (
            sweep("--recipe", "tiny", "--dry-run", "--set", "model.style_size=3", "--only", *only, *places)
            == 0
        )
        assert ("m2 has no field model.style_size" in capsys.readouterr().out) == named


def test_fewer_seeds_than_the_recipe_has_are_some_of_its_runs_and_more_are_more_of_them():
    recipe = RECIPES["mnist"].runs()
    assert chosen_runs(Sweep(seeds=3), find_recipe("mnist")) == recipe
    assert chosen_runs(Sweep(seeds=1), find_recipe("mnist")) == [run for run in recipe if run.seed == 0]
    five = chosen_runs(Sweep(seeds=5), find_recipe("mnist"))
    assert five[: len(recipe)] == recipe
    assert {run.seed for run in five} == set(range(5))


def test_options_of_the_data_set_replace_those_of_the_recipe_that_they_name():
    runs = chosen_runs(Sweep(options=("count=60", "seed=3")), find_recipe("hair-multiclass-quick"))
    assert {run.data.options for run in runs} == {("count=60", "read_as=celeba_hair", "seed=3")}
    own = chosen_runs(Sweep(options=("labels=smiling", "size=32")), find_recipe("pictures-quick"))
    assert {(run.data.name, run.data.options) for run in own} == {("pictures", ("labels=smiling", "size=32"))}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--recipe", "fashion-mnits"],
            r"no recipe 'fashion-mnits'; did you mean fashion-mnist\? \(recipes: ",
        ),
        (["--recipe", "tiny", "--name", "../a"], r"name '../a' is not valid as a folder name"),
        (["--recipe", "tiny", "--name", "100%"], r"/100% contains '%'"),
        (["--recipe", "tiny", "--name", "two\nlines"], r"contains a control character"),
        (["--recipe", "tiny", "--name", 'it\'s "it"'], r"both kinds of quotes"),
        (["--recipe", "tiny", "--detach"], r"--detach needs --cluster slurm"),
        (["--recipe", "tiny", "--only", "nothing-like-it"], r"no cell is left to run"),
        (["--recipe", "tiny", "--seeds", "0"], r"seeds is 0; it must be at least 1"),
        (["--recipe", "tiny", "--label-seed", "-1"], r"label_seed is -1; it must not be negative"),
        (["--recipe", "tiny", "--epochs", "0"], r"epochs is 0; it must be at least 1"),
        (["--recipe", "tiny", "--max-parallel", "0"], r"max_parallel is 0"),
    ],
)
def test_wrong_input_is_reported_in_one_sentence_and_leaves_nothing(
    places, tmp_path, capsys, arguments, sentence
):
    assert sweep(*arguments, *places) == 2
    errors = capsys.readouterr().err
    assert re.search(sentence, errors)
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named_with_the_option_that_chose_it(tmp_path, capsys):
    (tmp_path / "file").touch()
    places = ["--data-root", str(tmp_path / "file" / "data"), "--runs", str(tmp_path / "runs")]
    assert sweep("--recipe", "swiss-roll-quick", *places) == 2
    assert (
        "cannot be written: Not a directory; choose another place with --data-root" in capsys.readouterr().err
    )


def test_missing_raw_files_are_reported_in_one_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = [
        "--raw",
        str(tmp_path / "empty"),
        "--data-root",
        str(tmp_path / "data"),
        "--runs",
        str(tmp_path / "runs"),
    ]
    assert sweep("--recipe", "mnist", *places) == 2
    errors = capsys.readouterr().err
    assert "train-images-idx3-ubyte" in errors
    assert not list((tmp_path / "runs").glob("mnist/*/config.json"))


def test_slurm_without_sbatch_is_reported_in_one_sentence(places, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert sweep("--recipe", "tiny", "--cluster", "slurm", *places) == 2
    assert "needs sbatch" in capsys.readouterr().err


@pytest.mark.slow(45)
def test_a_local_sweep_prepares_trains_measures_and_compares(places, tmp_path, capsys):
    options = ["--recipe", "tiny", "--only", "ccvae", *places]
    options += ["--measures", "classification", "reconstruction_grid", "generation_grid"]
    assert sweep(*options) == 0
    printed = capsys.readouterr().out
    assert "1 done" in printed
    assert "ccvae" in printed.split("1 done")[1]
    (cell,) = cells(tmp_path)
    assert is_done(CellFolder(cell))
    figures = {path.name for path in (cell / "figures").iterdir()}
    assert figures == {"reconstructions.png", "conditional_generations.png"}
    assert "epoch 2 of 2" in (cell / "log" / "train-rank1.txt").read_text()
    (run,) = finished_runs(tmp_path)
    assert run.info.status == "FINISHED"
    assert "test/classification_accuracy" in run.data.metrics
    before = {path: path.stat().st_mtime_ns for path in cell.rglob("*")}

    assert sweep(*options) == 0  # nothing is left to do
    assert "1 done" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in cell.rglob("*")}
    assert len(finished_runs(tmp_path)) == 1


@pytest.mark.slow(30)
def test_a_failed_cell_is_reported_and_does_not_stop_the_others(places, tmp_path, capsys):
    fresh_store(tmp_path / "runs")
    assert sweep("--recipe", "diverging", "--ranks", "1", *places) == 1
    printed = capsys.readouterr().out
    assert re.search(r"m2-\S+ failed: the objective is \S+ at step \d+; .* \(logs: ", printed)
    assert "1 failed, 1 done" in printed
    statuses = {run.data.tags["system"]: run.info.status for run in finished_runs(tmp_path, "diverging")}
    assert statuses == {"ccvae": "FINISHED", "m2": "FAILED"}


def test_a_launch_that_ends_before_its_cells_run_leaves_no_running_run(places, tmp_path, capsys, monkeypatch):
    fresh_store(tmp_path / "runs")

    def ctrl_c(*_: object) -> None:
        raise KeyboardInterrupt

    def disk_is_full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for where, ends, status, said in (
        ("launch.start.record_launch", ctrl_c, 130, "interrupted; run the same command to resume"),
        (
            "submitit.LocalExecutor.submit",
            disk_is_full,
            2,
            f"full while writing {tmp_path / 'runs' / 'tiny'}",
        ),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, ends)
            assert sweep("--recipe", "tiny", "--only", "ccvae", *places) == status
        assert said in capsys.readouterr().err
        assert {run.info.status for run in runs_of(tmp_path, "tiny")} == {"KILLED"}


@pytest.mark.slow(160)
@pytest.mark.timeout(900)
def test_a_sweep_whose_launcher_is_killed_and_then_interrupted_resumes(places, tmp_path, capsys):
    fresh_store(tmp_path / "runs")
    runs = ["--runs", str(tmp_path / "runs")]
    options = ["--recipe", "tiny", "--only", "ccvae", "--epochs", "40", *places]
    command = [sys.executable, "-m", "tests.launch.tiny_sweep", *options]
    log = tmp_path / "launcher.txt"

    def launch() -> subprocess.Popen[bytes]:
        with log.open("wb") as file:
            return subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)

    def said_by_rank_0(text: str) -> int:
        logs = (tmp_path / "runs").glob("tiny/ccvae*/log/train-rank0.txt")
        return sum(file.read_text().count(text) for file in logs)

    launcher = launch()
    wait_for(lambda: list((tmp_path / "runs").glob("tiny/ccvae*/checkpoints/*.json")), 120)
    launcher.kill()
    launcher.wait()
    assert sweep("status", "tiny", *runs) == 3
    assert ", without a launcher" in capsys.readouterr().out
    assert sweep("cancel", "tiny", *runs) == 0
    wait_for(lambda: not processes_of(tmp_path), story=lambda: left_in(tmp_path))
    assert said_by_rank_0("stopped after step") == 1

    launcher = launch()
    wait_for(lambda: said_by_rank_0("resuming from step") == 1, 120)
    os.killpg(launcher.pid, signal.SIGINT)  # as a terminal does
    assert launcher.wait(timeout=180) == 130
    assert "run the same command to resume from the checkpoints" in log.read_text()
    wait_for(lambda: not processes_of(tmp_path), story=lambda: left_in(tmp_path))
    assert said_by_rank_0("stopped after step") == 2
    (cell,) = cells(tmp_path)
    assert not is_done(CellFolder(cell))

    assert launch().wait(timeout=560) == 0, log.read_text()
    assert said_by_rank_0("resuming from step") == 2
    assert is_done(CellFolder(cell))
    assert len(finished_runs(tmp_path)) == 1


def left_in(folder: Path) -> str:
    """What still runs below a folder, and what its ranks said."""
    commands = [f"{process.pid} {' '.join(process.cmdline())}" for process in processes_of(folder)]
    return "\n".join([*commands, *(file.read_text() for file in folder.glob("runs/tiny/*/log/train-*.txt"))])


def processes_of(folder: Path) -> list[psutil.Process]:
    """Live processes whose working directory is below a folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if str(folder) in " ".join(process.info["cmdline"] or [])
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.slow(75)
@pytest.mark.slurm
def test_a_sweep_on_slurm_spreads_a_run_over_two_nodes(slurm_cluster, places, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    for_small_jobs = ["--small-partition", "urgent", "--small-hours", "0.2"]
    options = [*ON_SLURM, "--nodes", "2", "--memory-gb", "0", *for_small_jobs, *places]
    options += ["--setup", "export SITE=loaded", '[ "$SITE" = loaded ]']
    assert sweep("--dry-run", "--ranks", "4", *options) == 0
    described = capsys.readouterr().out
    assert "#SBATCH --nodes=2" in described
    assert "#SBATCH --ntasks-per-node=2" in described
    assert "#SBATCH --dependency=aftercorr:" in described
    assert not list(tmp_path.iterdir())

    fresh_store(tmp_path / "runs")
    assert sweep(*options) == 0  # on two ranks each, one per node; on four: tests/test_readme.py
    assert "2 done" in capsys.readouterr().out
    for cell in cells(tmp_path):
        assert json.loads((cell / "config.json").read_text())["training"]["ranks"] == 2
        assert (cell / "log" / "train-rank1.txt").is_file()
    register = Register(tmp_path / "runs" / "tiny")
    assert len(register.in_stages(["train"])) == 1  # one array for both cells
    job = register.jobs_of(cells(tmp_path)[0].name)["train"]
    ran = slurm_cluster.run(["sacct", "-n", "-P", "-X", "-o", "NNodes,Partition,State", "-j", job])
    assert ran.stdout.strip() == "2|main|COMPLETED"
    small = [str(entry.job) for entry in register.in_stages(["prepare", "merge", "compare"])]
    ran = slurm_cluster.run(["sacct", "-n", "-P", "-X", "-o", "Partition,Timelimit", "-j", ",".join(small)])
    assert set(ran.stdout.split()) == {"urgent|00:12:00"}
    assert {run.data.tags.get("slurm_job_id") is not None for run in finished_runs(tmp_path)} == {True}


@pytest.mark.slow
@pytest.mark.slurm
def test_a_refusal_by_slurm_is_reported_with_its_message(
    slurm_cluster, places, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(ROOT)
    refused = ["--recipe", "tiny", "--cluster", "slurm", "--partition", "nowhere", *places]
    assert sweep(*refused) == 2
    assert "this cluster's partitions are main, urgent" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    fresh_store(tmp_path / "runs")
    assert sweep(*refused, "--no-preflight") == 2
    assert "invalid partition" in capsys.readouterr().err.lower()
    assert Register(tmp_path / "runs" / "tiny").submissions == []
    (parent,) = runs_of(tmp_path, "tiny")
    assert parent.info.status == "FAILED"
