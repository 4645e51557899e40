"""Every command of the README is run as written; sweeps for one epoch instead of the recipe's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.data_prep.sources.own_pictures.drawn_folder import write_pictures, write_table

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines() if line
]
RAW = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a fresh checkout, without data and runs."""
    if not RAW.is_dir():
        pytest.skip("FashionMNIST's raw files are not there (Debian: dataset-fashion-mnist)")
    folder = tmp_path / "checkout"
    folder.mkdir()
    for floor in ("launch", "jobs", "pipeline", "data_prep", "Makefile", "setup"):
        (folder / floor).symlink_to(ROOT / floor)
    return folder


def run(command: str, folder: Path, *more: str) -> str:
    """Run a command of the README in a folder; returns what it printed."""
    program, *arguments = shlex.split(command)
    known = {"python": sys.executable, "mlflow": str(Path(sys.executable).with_name("mlflow"))}
    ended = subprocess.run(
        [known.get(program, program), *arguments, *more],
        cwd=folder,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1700,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def command_with(text: str) -> str:
    """The one command of the README that ends with a text, or else contains it."""
    ending = [command for command in COMMANDS if command.endswith(text)]
    (found,) = ending or [command for command in COMMANDS if text in command]
    return found


def test_every_command_is_tested_here():
    tested = re.findall(r'command_with\("(.+?)"\)', Path(__file__).read_text(encoding="utf-8"))
    assert {command_with(text) for text in tested} == set(COMMANDS)


@pytest.mark.parametrize("command", [command_with("make demo"), command_with("make test")])
def test_make_knows_its_targets_and_they_run_what_is_tested(command: str):
    planned = run(command, ROOT, "--dry-run")
    assert "setup/setup.sh" in planned
    if command == "make demo":
        assert "launch/sweep.py --cluster local --recipe fashion-mnist-quick" in planned


@pytest.mark.slow(150)
@pytest.mark.timeout(1800)
def test_step_by_step(checkout: Path):
    assert "60,000" in run(command_with("prepare.py fashion-mnist"), checkout)
    assert "500" in run(command_with("drawn-faces"), checkout, "--format", "arrow")
    assert "mmlab.ie.cuhk.edu.hk" in run(command_with("celeba --dry-run"), checkout)
    small = ("--measures", "classification", "--hidden-width", "32", "--predictive-samples", "10")
    printed = run(command_with("--data fashion-mnist"), checkout, *small)
    assert re.search(r"classification_accuracy +0\.", printed)
    assert "24 cells, 24 to run; nothing was written" in run(
        command_with("--recipe fashion-mnist --dry-run"), checkout
    )
    # One of its four runs: M2 decodes ten times as many images. Sweeps of several: tests/launch/test_sweep.py.
    fewer = ["--epochs", "1", "--only", "ccvae-fashion_mnist-f0.06-", "--measures", "classification"]
    assert "1 done" in run(command_with("--cluster local"), checkout, *fewer)
    table = run(command_with("launch/compare.py"), checkout)
    assert "0.865" in table  # the paper's CCVAE at f = 0.06
    assert "my-model/model.safetensors" in run(command_with("launch/export.py"), checkout)
    report = run(command_with("launch/report.py"), checkout)
    assert re.search(r"\| ccvae \| ours \| +\| 0\.[5-9]", report)
    assert (checkout / "runs" / "fashion-mnist-quick" / "reports" / "ccvae-table6" / "report.md").is_file()
    assert (checkout / "runs" / "fashion-mnist-quick" / "comparison" / "table.csv").is_file()
    assert not (checkout / "mlruns").exists()

    serve = [*shlex.split(command_with("mlflow server")), "--workers", "1"]  # not four: it is there sooner
    server = subprocess.Popen(
        [sys.executable, "-m", *serve],
        cwd=checkout,
        # Without the nine further processes that wait for jobs of MLflow's own: 20 CPU seconds.
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                with urllib.request.urlopen("http://127.0.0.1:5000/health", timeout=5) as answer:
                    assert answer.read() == b"OK"
                    break
            except OSError:
                assert time.monotonic() < deadline, "mlflow server does not answer"
                time.sleep(0.5)
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


@pytest.mark.slow(50)
@pytest.mark.timeout(900)
def test_pictures_of_ones_own(tmp_path: Path):
    for floor in ("launch", "jobs", "pipeline", "data_prep"):
        (tmp_path / floor).symlink_to(ROOT / floor)
    rows = [["file", "smiling", "hair"]]
    rows += [[f"{i:03d}", ("yes", "no", "")[i % 3], ("black", "blond", "red")[i // 3 % 3]] for i in range(60)]
    write_pictures(tmp_path / "my-pictures", [f"{name}.png" for name, *_ in rows[1:]])
    write_table(tmp_path / "my-pictures" / "labels.csv", rows)
    told = run(command_with("--sheet my-pictures.png"), tmp_path)
    assert "smiling: binary: no 20, yes 20; unknown 20" in told
    assert (tmp_path / "my-pictures.png").is_file()
    assert not (tmp_path / "data").exists()
    prepared = run(command_with("--options labels=smiling,hair size=32"), tmp_path, "--format", "arrow")
    assert "prepared: " in prepared
    only = ("--measures", "classification")
    trained = run(command_with("debug.py ccvae --data pictures"), tmp_path, *only)
    assert re.search(r"classification_accuracy +[01]\.", trained)
    assert len(list((tmp_path / "data").glob("pictures-*"))) == 1, "the run finds what was prepared"
    assert "split valid" in run(command_with("measure.py debug"), tmp_path, *only)
    assert "ccvae" in run(command_with("compare.py --sweep debug"), tmp_path)


@pytest.mark.slow(80)
@pytest.mark.slurm
@pytest.mark.timeout(1800)
def test_on_a_cluster(slurm_cluster, checkout: Path):
    # One of its four runs, that whose log is shown, with a smaller network.
    fewer = ["--epochs", "1", "--only", "ccvae-fashion_mnist-f1-", "--measures", "classification"]
    fewer += ["--set", "model.hidden_width=32", "model.predictive_samples=10"]
    assert "1 done" in run(command_with("--cluster slurm"), checkout, *fewer)
    logs = list((checkout / "runs" / "fashion-mnist-quick").glob("*/log/train-rank3.txt"))
    assert len(logs) == 1  # two nodes with two tasks each
    assert "1 done" in run(command_with("sweep.py status"), checkout)
    assert "epoch 1 of 1" in run(command_with("sweep.py logs"), checkout)
