from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from data_prep.errors import Diverged, Interrupted, RunError
from pipeline.config import RunConfig
from pipeline.data.batch import Batch
from pipeline.data.dataset import DataSet
from pipeline.tracking import read_points
from pipeline.training.interruption import stop_requests
from pipeline.training.loop import train
from pipeline.training.step import Step
from pipeline.world import World
from tests.pipeline.data.colour_rows import prepare_colour_rows
from tests.pipeline.models.every_system import narrow
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
    """SIGKILL to what started the ranks, and to them."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        member.kill()
    psutil.wait_procs(family, timeout=120)
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
    """Simulates a kill inside this process: nothing in the loop catches it."""


def die() -> None:
    raise Killed


def assert_goes_on_bitwise(
    config: RunConfig, folder: Path, step: int, how: Callable[[], None]
) -> dict[tuple[str, int], dict[str, float]]:
    """Fail unless a run that is ended in this way at a step resumes as if nothing had happened; returns its records."""
    data = DataSet(Path(config.data.folder))
    whole, first, second = Recorder(), Recorder(step, how), Recorder()
    train(config, folder / "whole", data, ALONE, whole)
    with pytest.raises((Interrupted, Killed)):
        train(config, folder / "resumed", data, ALONE, first)
    train(config, folder / "resumed", data, ALONE, second)
    assert_bitwise_equal(final_parameters(folder / "whole"), final_parameters(folder / "resumed"))
    # What is recorded twice is the same, and together it is what the undisturbed run recorded.
    assert first.points | second.points == second.points | first.points == whole.points
    return whole.points


@pytest.mark.parametrize(
    ("system", "how"),
    [(system, how) for system in ("ccvae", "m2", "csvae") for how in (ask_to_stop, die)]
    + [("beta_tcvae", die)],
)
def test_resumed_run_is_bitwise_equal(tiny_data_set: Path, tmp_path: Path, system: str, how):
    assert_goes_on_bitwise(small_run(tiny_data_set, system=system, epochs=3), tmp_path, 20, how)


def test_resumed_run_with_a_label_seed_of_its_own_is_bitwise_equal(tiny_data_set: Path, tmp_path: Path):
    run = small_run(tiny_data_set, epochs=3, rate=0.1)
    run = replace(run, data=replace(run.data, label_seed=3))
    assert_goes_on_bitwise(run, tmp_path, 20, die)


def test_a_run_that_is_asked_to_stop_stops_after_a_checkpoint_within_an_epoch(
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


def test_a_run_that_was_asked_before_its_first_step_stops_without_a_checkpoint(
    tiny_data_set: Path, tmp_path: Path
):
    with stop_requests():
        ask_to_stop()  # e.g. while torch was imported
        with pytest.raises(Interrupted, match="stopped before its first step of 36"):
            train(small_run(tiny_data_set, epochs=3), tmp_path, DataSet(tiny_data_set), ALONE, Recorder())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", ["newest damaged", "only damaged"])
def test_a_damaged_newest_checkpoint_costs_steps_and_changes_nothing(
    tiny_data_set: Path, tmp_path: Path, rows: str
):
    data, config = DataSet(tiny_data_set), small_run(tiny_data_set, epochs=3, keep_checkpoints=2)
    train(config, tmp_path / "whole", data, ALONE, Recorder())
    with pytest.raises(Interrupted):
        train(config, tmp_path / "hurt", data, ALONE, Recorder(30, ask_to_stop))
    newest = tmp_path / "hurt" / "step-00000030.pt"
    newest.write_bytes(newest.read_bytes()[:-1])
    if rows == "only damaged":
        (tmp_path / "hurt" / "step-00000024.pt").unlink()
    train(config, tmp_path / "hurt", data, ALONE, Recorder())
    assert_bitwise_equal(final_parameters(tmp_path / "whole"), final_parameters(tmp_path / "hurt"))
    assert not newest.exists()


def test_checkpoints_by_time_change_nothing_that_is_recorded(tiny_data_set: Path, tmp_path: Path):
    data, config = DataSet(tiny_data_set), small_run(tiny_data_set, epochs=2, log_every_steps=7)
    whole, often = Recorder(), Recorder()
    train(config, tmp_path / "whole", data, ALONE, whole)
    assert checkpoint_steps(tmp_path / "whole") == [12, 24]
    settings = replace(config.training, checkpoint_every_minutes=1e-9, keep_checkpoints=9)
    train(replace(config, training=settings), tmp_path / "often", data, ALONE, often)
    assert checkpoint_steps(tmp_path / "often") == [10, 12, 20, 24]
    assert often.points == whole.points
    assert_bitwise_equal(final_parameters(tmp_path / "whole"), final_parameters(tmp_path / "often"))


def checkpoint_steps(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.pt"))


def test_the_step_at_which_the_objective_went_wrong_is_named(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spoil(monkeypatch, at_step=17)
    config = small_run(tiny_data_set, epochs=3, log_every_steps=9)
    with pytest.raises(Diverged, match=r"objective is nan at step 17; .* of step 12, is from before it"):
        train(config, tmp_path, DataSet(tiny_data_set), ALONE, Recorder())
    assert checkpoint_steps(tmp_path) == [12]


def test_no_checkpoint_is_saved_of_a_run_that_went_wrong_since_its_last_record(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spoil(monkeypatch, at_step=17)
    config = small_run(tiny_data_set, epochs=3, checkpoint_every_minutes=1e-9, log_every_steps=1000)
    with pytest.raises(Diverged, match=r"at step 17; .* of step 12"):  # at step 20, where it was to be saved
        train(config, tmp_path, DataSet(tiny_data_set), ALONE, Recorder())
    assert checkpoint_steps(tmp_path) == [10, 12]


def test_no_checkpoint_is_saved_whose_last_update_went_wrong(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its objective was still finite: only the parameters tell."""
    spoil(monkeypatch, at_step=12, terms=False)
    with pytest.raises(
        Diverged, match="a parameter is not finite after step 12; no checkpoint is from before"
    ):
        train(small_run(tiny_data_set, epochs=3), tmp_path, DataSet(tiny_data_set), ALONE, Recorder())
    assert not checkpoint_steps(tmp_path)


def spoil(monkeypatch: pytest.MonkeyPatch, at_step: int, terms: bool = True) -> None:
    """Make the update of a step NaN, and optionally its terms."""
    update = Step.__call__

    def spoilt(self: Step, batch: Batch, step: int, batch_size: int) -> torch.Tensor:
        found = update(self, batch, step, batch_size)
        if step + 1 == at_step:
            for parameter in self.model.parameters():
                parameter.data.fill_(float("nan"))
            return found * float("nan") if terms else found
        return found

    monkeypatch.setattr(Step, "__call__", spoilt)


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
    with pytest.raises(RunError, match=r"objective is (nan|-?inf) at step"):
        train(config, tmp_path, DataSet(tiny_data_set), ALONE, Recorder())
    for path in tmp_path.glob("step-*.pt"):
        assert all(value.isfinite().all() for value in final_parameters(path.parent).values())


@pytest.mark.slow(40)
def test_two_ranks_with_two_discriminators_killed_for_real_and_resumed_are_bitwise_equal(tmp_path: Path):
    ranks, folder = 2, prepare_colour_rows(tmp_path / "data", "arrow")
    config = small_run(folder, rate=1.0, epochs=15, batch_size=40, ranks=ranks)
    config = replace(config, model=narrow("srb_vae", network="mlp", latent_size=3, target_size=2))
    whole, killed = (small_cell(tmp_path / name, config) for name in ("whole", "killed"))
    undisturbed = start_ranks(whole, ranks)
    assert undisturbed.wait(timeout=200) == 0, (whole.folder / "ranks.txt").read_text()

    process = start_ranks(killed, ranks)
    deadline = time.monotonic() + 180
    while len(list(killed.checkpoints.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    kill_all(process)
    assert not killed.is_trained()
    resumed = start_ranks(killed, ranks)
    assert resumed.wait(timeout=200) == 0, (killed.folder / "ranks.txt").read_text()

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
    cell = small_cell(tmp_path, small_run(tiny_data_set, epochs=100_000, ranks=2, checkpoint_every_epochs=5))
    process = start_ranks(cell, 2)
    deadline = time.monotonic() + 150
    while not list(cell.checkpoints.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    ranks = [
        child for child in psutil.Process(process.pid).children() if "jobs.train" in " ".join(child.cmdline())
    ]
    assert len(ranks) == 2
    ranks[1].kill()
    assert process.wait(timeout=180) != 0
    assert "another rank of the run is gone" in (cell.folder / "log" / "train-rank0.txt").read_text()
    assert list(cell.checkpoints.glob("*.json"))


@pytest.mark.parametrize("system", ["ccvae", "beta_tcvae"])
def test_two_ranks_train_as_one(tiny_data_set: Path, tmp_path: Path, system: str):
    """Neither the mean over a batch nor what a system compares in it depends on how many ranks share it.

    Without noise, two ranks do what one does.
    """
    from tests.pipeline.training.two_ranks import gradients_of_first_step

    alone, together = (
        gradients_of_first_step(small_run(tiny_data_set, system=system, ranks=ranks), tmp_path)
        for ranks in (1, 2)
    )
    assert all(value.any() for value in alone.values())
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-6)
