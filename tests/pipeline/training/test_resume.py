from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from data_prep.errors import Interrupted, RunError
from pipeline.data.dataset import DataSet
from pipeline.tracking import read_points
from pipeline.training.loop import train
from pipeline.world import World
from tests.pipeline.runs import (
    assert_bitwise_equal,
    final_parameters,
    small_cell,
    small_run,
    start_ranks,
    with_loader,
)

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to torchrun and its ranks, which have sessions of their own."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        member.kill()
    psutil.wait_procs(family, timeout=30)
    process.wait()


class Recorder:
    """Keeps what a run records, and does something to it at a step."""

    def __init__(self, at_step: int = -1, action=lambda: None) -> None:
        self.points: dict[tuple[str, int], dict[str, float]] = {}
        self.at_step, self.action = at_step, action

    def __call__(self, kind, step, metrics) -> None:
        self.points[kind, step] = {
            name: value for name, value in metrics.items() if name != "images_per_second"
        }
        if step == self.at_step:
            self.action()


def ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Killed(BaseException):
    """Stands for a kill inside this process: nothing of the loop catches it."""


def die() -> None:
    raise Killed


@pytest.mark.parametrize("system", ["ccvae", "m2"])
@pytest.mark.parametrize("how", ["asked", "killed"])
def test_resumed_run_is_bitwise_equal(tiny_data_set: Path, tmp_path: Path, system: str, how: str):
    config, data = small_run(tiny_data_set, system=system, epochs=3), DataSet(tiny_data_set)
    whole = Recorder()
    train(config, tmp_path / "whole", data, ALONE, whole)
    first = Recorder(at_step=20, action=ask_to_stop if how == "asked" else die)
    with pytest.raises((Interrupted, Killed)):
        train(config, tmp_path / "resumed", data, ALONE, first)
    second = Recorder()
    train(config, tmp_path / "resumed", data, ALONE, second)
    assert_bitwise_equal(final_parameters(tmp_path / "whole"), final_parameters(tmp_path / "resumed"))
    # What is recorded twice is the same, and together it is what the undisturbed run recorded.
    assert first.points | second.points == whole.points
    assert second.points.items() >= {key: whole.points[key] for key in second.points}.items()


def test_a_run_that_is_asked_to_stop_stops_behind_a_checkpoint_within_an_epoch(
    tiny_data_set: Path, tmp_path: Path
):
    with pytest.raises(Interrupted, match="step 20 of 36"):
        train(
            small_run(tiny_data_set, epochs=3),
            tmp_path,
            DataSet(tiny_data_set),
            ALONE,
            Recorder(15, ask_to_stop),
        )
    assert (tmp_path / "step-00000020.pt").is_file()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_loaders_train_to_the_same_bits(tiny_data_set: Path, tmp_path: Path):
    for loader in ("resident", "arrow"):
        config = with_loader(small_run(tiny_data_set, epochs=1), loader)
        train(config, tmp_path / loader, DataSet(tiny_data_set), ALONE, Recorder())
    assert_bitwise_equal(final_parameters(tmp_path / "resident"), final_parameters(tmp_path / "arrow"))


def test_an_objective_that_is_not_finite_ends_the_run_before_its_checkpoint(
    tiny_data_set: Path, tmp_path: Path
):
    config = small_run(tiny_data_set, epochs=3, log_every_steps=1)
    config = replace(config, optimiser=replace(config.optimiser, learning_rate=1e18))
    with pytest.raises(RunError, match=r"objective is (nan|-?inf) behind step"):
        train(config, tmp_path, DataSet(tiny_data_set), ALONE, Recorder())
    for path in tmp_path.glob("step-*.pt"):
        assert all(value.isfinite().all() for value in final_parameters(path.parent).values())


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_run_killed_for_real_and_resumed_is_bitwise_equal(tiny_data_set: Path, tmp_path: Path, ranks: int):
    config = small_run(tiny_data_set, epochs=30, ranks=ranks)
    whole, killed = (small_cell(tmp_path / name, config) for name in ("whole", "killed"))
    undisturbed = start_ranks(whole, ranks)
    assert undisturbed.wait(timeout=200) == 0, (whole.folder / "torchrun.txt").read_text()

    process = start_ranks(killed, ranks)
    deadline = time.monotonic() + 60
    while len(list(killed.checkpoints.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    kill_all(process)
    assert not killed.is_trained()
    resumed = start_ranks(killed, ranks)
    assert resumed.wait(timeout=200) == 0, (killed.folder / "torchrun.txt").read_text()

    assert killed.is_trained()
    assert_bitwise_equal(final_parameters(whole.checkpoints), final_parameters(killed.checkpoints))
    points = [
        (point.kind, point.step)
        for point in read_points(killed.folder / "metrics.jsonl")
        if point.kind != "system"
    ]
    assert len(points) == len(set(points))
    assert set(points) == {
        (point.kind, point.step)
        for point in read_points(whole.folder / "metrics.jsonl")
        if point.kind != "system"
    }


@pytest.mark.slow
def test_when_one_rank_is_killed_the_other_ends_soon(tiny_data_set: Path, tmp_path: Path):
    cell = small_cell(tmp_path, small_run(tiny_data_set, epochs=100_000, ranks=2, checkpoint_every_epochs=50))
    process = start_ranks(cell, 2)
    deadline = time.monotonic() + 60
    while not list(cell.checkpoints.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    ranks = [
        child for child in psutil.Process(process.pid).children() if "jobs.train" in " ".join(child.cmdline())
    ]
    assert len(ranks) == 2
    ranks[1].kill()
    assert process.wait(timeout=60) != 0
    assert "another rank of the run is gone" in (cell.folder / "log" / "train-rank0.txt").read_text()
    assert list(cell.checkpoints.glob("*.json"))


def test_two_ranks_train_as_one(tiny_data_set: Path, tmp_path: Path):
    """The mean over a batch does not depend on how many ranks share it: without noise, two ranks do what one does."""
    from tests.pipeline.training.two_ranks import gradients_of_first_step

    alone, together = (
        gradients_of_first_step(small_run(tiny_data_set, ranks=ranks), tmp_path) for ranks in (1, 2)
    )
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-6)
