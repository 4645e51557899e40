"""Faults 4 and 5: a node dies with everything on it, and a node that only seems dead."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.cluster import faults
from tests.cluster.cluster import Cluster
from tests.faults.ranks import living_ranks, wait_until_gone
from tests.faults.reference import Reference, assert_same_run
from tests.faults.story import log_text, wait_for_restart
from tests.faults.sweep import Sweep
from tests.pipeline.tracking.stores import quiet_mlflow
from tests.waiting import wait_for

pytestmark = [quiet_mlflow, pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]


@pytest.mark.slow(150)
def test_nodes_killed_one_after_the_other(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    lost = sweep("lost", "--recipe", "faults", "--nodes", "2")
    lost.start()
    cell = lost.cell()
    for kills, step in ((1, 35), (2, 85)):  # first the node of rank 1, then that of the batch script
        lost.wait_for_step(cell, step)
        ranks = living_ranks(cell)
        first, second = ranks
        assert first.node != second.node
        faults.kill_node(slurm_cluster, second.node if kills == 1 else first.node)
        wait_until_gone(ranks, 120, lost.story)
        # The node stays down: the job has to start on others.
        wait_for_restart(slurm_cluster, first.job, kills, 180, lost.story)
    lost.wait_until_done()
    assert_same_run(cell, reference(), lost.store)
    assert log_text(cell).count("resuming from step") >= 2


@pytest.mark.slow(75)
def test_only_slurmd_killed_so_that_two_copies_live(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    doubled = sweep("doubled", "--recipe", "faults")
    doubled.start()
    cell = doubled.cell()
    doubled.wait_for_step(cell, 35)
    older = living_ranks(cell)
    faults.kill_slurmd(slurm_cluster, older[0].node)
    for rank in older:  # it continues once the newer copy is running, and does not finish before that
        rank.signal(signal.SIGSTOP)
    wait_for(lambda: len(living_ranks(cell)) == 4, 240, doubled.story)
    newer = [rank for rank in living_ranks(cell) if rank not in older]
    doubled.wait_for_step(cell, 65)
    assert {rank.node for rank in newer}.isdisjoint(rank.node for rank in older)
    for rank in older:
        rank.signal(signal.SIGCONT)
    wait_until_gone(older, 240, doubled.story)
    assert "has taken over" in log_text(cell)
    doubled.wait_until_done()
    assert_same_run(cell, reference(), doubled.store)
