"""Faults 6 to 8: a rank dies, a rank hangs, and a loss that is not a number any more."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from collections.abc import Callable

import pytest
import torch

from pipeline.cell import Cell
from pipeline.training import checkpoint
from tests.cluster.cluster import Cluster
from tests.faults.ranks import Rank, living_ranks, wait_until_gone
from tests.faults.reference import Reference, assert_same_run
from tests.faults.runs import HANG_SECONDS
from tests.faults.story import endings, held_back, restarts, state, told
from tests.faults.sweep import Sweep, wait_for
from tests.pipeline.tracking.stores import quiet_mlflow

pytestmark = [quiet_mlflow, pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]


def test_rank_killed(sweep: Callable[..., Sweep], reference: Callable[..., Reference]):
    """Rank 0 and then another: all end within a bound, and the cell goes on."""
    struck = sweep("struck", "--recipe", "faults")
    struck.start()
    cell = struck.cell()
    for number, step in ((1, 200), (0, 600)):
        struck.wait_for_step(cell, step)
        ranks = living_ranks(cell)
        ranks[number].signal(signal.SIGKILL)
        wait_until_gone(ranks, 120, struck.story)
    assert struck.wait() == 0, struck.story()
    assert_same_run(cell, reference(), struck.store)
    assert endings(cell) == ["crashed", "crashed"]  # with newer checkpoints in between: not two in a row


def test_rank_killed_again_and_again(slurm_cluster: Cluster, sweep: Callable[..., Sweep]):
    """Without a newer checkpoint in between, it is tried as often as was asked for, and no oftener."""
    hopeless = sweep("hopeless", "--recipe", "faults", "--retries", "1")
    launcher = hopeless.start()
    cell = hopeless.cell()
    for attempt in (0, 1):
        ranks = wait_for_ranks(hopeless, cell, attempt)
        ranks[1].signal(signal.SIGKILL)
        wait_until_gone(ranks, 120, hopeless.story)
    assert launcher.wait(timeout=600) == 1, hopeless.story()
    assert endings(cell) == ["crashed", "crashed"]
    assert "given up after 2 attempts without a newer checkpoint" in (cell.folder / "FAILED").read_text()
    assert "given up after 2 attempts" in hopeless.log.read_text()


def wait_for_ranks(sweep: Sweep, cell: Cell, restart: int) -> list[Rank]:
    """Both ranks of an attempt, as soon as they are there."""
    wait_for(lambda: [rank.restart for rank in living_ranks(cell)] == [restart, restart], 240, sweep.story)
    return living_ranks(cell)


def test_rank_hangs(sweep: Callable[..., Sweep], reference: Callable[..., Reference]):
    hanging = sweep("hanging", "--recipe", "faults-impatient")
    hanging.start()
    cell = hanging.cell()
    hanging.wait_for_step(cell, 200)
    ranks = living_ranks(cell)
    ranks[1].signal(signal.SIGSTOP)
    took = wait_until_gone(ranks, 180, hanging.story)
    assert took > HANG_SECONDS / 2
    assert hanging.wait() == 0, hanging.story()
    assert_same_run(cell, reference(), hanging.store)
    assert endings(cell) == ["crashed"]
    (attempt,) = (json.loads(line) for line in (cell.folder / "attempts.jsonl").read_text().splitlines())
    assert re.search(r"rank 0 made no step for 10 s \(stacks in .*train-rank0.txt\)", attempt["sentence"])
    assert re.search(r"Thread 0x.*most recent call first", told(cell))
    assert "all_reduce" in told(cell) or "backward" in told(cell)


def test_loss_that_is_not_a_number(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    diverging = sweep("diverging", "--recipe", "faults")
    launcher = diverging.start()
    cell = diverging.cell()
    diverging.wait_for_step(cell, 200)
    job = living_ranks(cell)[0].job
    with held_back(slurm_cluster, job, cell):
        shutil.copytree(cell.checkpoints, cell.folder / "good")
        newest = checkpoint.load_newest(cell.checkpoints, torch.device("cpu"))
        assert newest is not None
        for group in newest["optimiser"]["param_groups"]:  # the next update throws the parameters away
            group["lr"] = 1e18
        checkpoint.save(cell.checkpoints, newest["step"], newest, keep=2)
    assert launcher.wait(timeout=600) == 1, diverging.story()
    sentence = (cell.folder / "FAILED").read_text()
    named = re.search(r"behind step (\d+)", sentence)
    assert named is not None
    assert newest["step"] < int(named[1]) <= newest["step"] + 3
    assert sentence.strip() in diverging.log.read_text().replace("\n", " ")
    assert endings(cell) == ["failed"]
    kept = checkpoint.load_newest(cell.checkpoints, torch.device("cpu"))
    assert kept is not None
    assert kept["step"] == newest["step"]
    assert all(bool(torch.isfinite(value).all()) for value in kept["model"].values())
    assert restarts(slurm_cluster, job) == 1  # ours
    time.sleep(5)
    assert state(slurm_cluster, job) not in ("PENDING", "RUNNING")

    shutil.rmtree(cell.checkpoints)
    (cell.folder / "good").rename(cell.checkpoints)
    diverging.call("retry")
    diverging.start()
    assert diverging.wait() == 0, diverging.story()
    assert_same_run(cell, reference(), diverging.store)
