"""Faults 6 to 8: a rank dies, a rank hangs, and a loss that becomes NaN."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable

import pytest
import torch

from pipeline.cell import Cell
from pipeline.training import checkpoint
from tests.cluster.cluster import Cluster
from tests.faults.ranks import Rank, living_ranks, wait_until_gone
from tests.faults.reference import Reference, assert_same_run
from tests.faults.runs import HANG_SECONDS
from tests.faults.story import attempts, held_back, log_text, restarts
from tests.faults.sweep import Sweep
from tests.pipeline.tracking.stores import quiet_mlflow
from tests.waiting import wait_for

pytestmark = [quiet_mlflow, pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]


@pytest.mark.slow(115)
def test_ranks_that_are_killed_and_one_that_hangs(
    sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    struck = sweep("struck", "--recipe", "faults-impatient")
    struck.start()
    cell = struck.cell()
    for number, how, step in ((1, signal.SIGKILL, 25), (0, signal.SIGKILL, 80), (1, signal.SIGSTOP, 135)):
        struck.wait_for_step(cell, step)
        ranks = living_ranks(cell)
        ranks[number].signal(how)
        took = wait_until_gone(ranks, HANG_SECONDS + 120, struck.story)
    assert took > HANG_SECONDS / 2
    struck.wait_until_done()
    assert_same_run(cell, reference(), struck.store)
    *killed, hung = attempts(cell)
    # With newer checkpoints in between, these are not three in a row.
    assert [attempt["ended"] for attempt in [*killed, hung]] == ["crashed"] * 3
    assert re.search(r"rank 0( and 1)? made no step for 15 s \(stacks in .*train-rank0.txt", hung["sentence"])
    stacks = log_text(cell).partition("Timeout (")[2]
    assert re.search(r"Thread 0x.*most recent call first", stacks)
    assert "loop.py" in stacks


@pytest.mark.slow(125)
def test_what_is_not_retried_forever(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    """A NaN loss is not retried; a rank that dies before any checkpoint is retried as often as configured."""
    hopeless = sweep("hopeless", "--recipe", "faults-alike", "--retries", "1")
    launcher = hopeless.start()
    killed, diverging = hopeless.cell(0), hopeless.cell(1)
    kill_a_rank(hopeless, killed, restart=0)
    hopeless.wait_for_step(diverging, 35)
    job = living_ranks(diverging)[0].job
    with held_back(slurm_cluster, job, diverging):
        newest = poison(diverging)
        kill_a_rank(hopeless, killed, restart=1)
    assert launcher.wait(timeout=600) == 1, hopeless.story()

    given_up = (killed.folder / "FAILED").read_text()
    assert "given up after 2 attempts without a newer checkpoint" in given_up
    assert [attempt["ended"] for attempt in attempts(killed)] == ["crashed"] * 2
    not_finite = (diverging.folder / "FAILED").read_text()
    named = re.search(r"the objective is \S+ at step (\d+)", not_finite)
    assert named is not None
    assert newest < int(named[1]) <= newest + 3
    assert [attempt["ended"] for attempt in attempts(diverging)] == ["failed"]
    assert restarts(slurm_cluster, job) == 1  # that was us
    for sentence in (given_up, not_finite):
        assert sentence.strip() in hopeless.log.read_text()
    kept = checkpoint.newest_good(diverging.checkpoints)
    assert kept == newest
    state = checkpoint.load(diverging.checkpoints, kept, torch.device("cpu"))
    assert all(bool(value.isfinite().all()) for value in state["model"].values())

    heal(diverging)
    hopeless.start("retry")
    hopeless.wait_until_done()
    for cell in hopeless.cells:
        assert_same_run(cell, reference(), hopeless.store)


def poison(cell: Cell) -> int:
    """Replace the newest checkpoint by one whose next update makes the parameters diverge; returns its step."""
    shutil.copytree(cell.checkpoints, cell.folder / "good")
    newest = checkpoint.newest_good(cell.checkpoints)
    assert newest is not None
    state = checkpoint.load(cell.checkpoints, newest, torch.device("cpu"))
    for moments in state["optimiser"]["state"].values():
        moments["exp_avg"].fill_(1e25)
    checkpoint.save(cell.checkpoints, newest, state, keep=2)
    return newest


def heal(cell: Cell) -> None:
    """Undo ``poison``."""
    shutil.rmtree(cell.checkpoints)
    (cell.folder / "good").rename(cell.checkpoints)


def kill_a_rank(sweep: Sweep, cell: Cell, restart: int) -> None:
    """Kill a rank of an attempt as soon as it exists, and wait until the attempt is over."""
    ranks = wait_for_ranks(sweep, cell, restart)
    ranks[1].signal(signal.SIGKILL)
    wait_until_gone(ranks, 120, sweep.story)


def wait_for_ranks(sweep: Sweep, cell: Cell, restart: int) -> list[Rank]:
    """Both ranks of an attempt, as soon as they exist."""
    wait_for(lambda: [rank.restart for rank in living_ranks(cell)] == [restart, restart], 240, sweep.story)
    return living_ranks(cell)
