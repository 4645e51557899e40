"""Faults 12 to 14: slurmctld restarts, the launcher dies, and two launchers do the same at the same moment."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.cluster import faults
from tests.cluster.cluster import Cluster
from tests.faults.ranks import living_ranks
from tests.faults.reference import Reference, assert_same_run
from tests.faults.story import endings, job_ids, told
from tests.faults.sweep import Sweep, wait_for
from tests.pipeline.tracking.stores import quiet_mlflow

pytestmark = [quiet_mlflow, pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]


def test_slurmctld_restarts_and_the_launcher_is_killed_meanwhile(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    watched = sweep("restarted", "--recipe", "faults")
    launcher = watched.start()
    cell = watched.cell()
    watched.wait_for_step(cell, 100)
    ranks = living_ranks(cell)
    faults.stop_controller(slurm_cluster)
    watched.wait_for_step(cell, 400)
    assert launcher.poll() is None, watched.story()  # it waits for the answer
    faults.start_controller(slurm_cluster)
    submitted = job_ids(slurm_cluster, watched.name)
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    watched.start()
    assert watched.wait() == 0, watched.story()
    assert_same_run(cell, reference(), watched.store)
    assert job_ids(slurm_cluster, watched.name) == submitted
    assert told(cell).count("epoch 1 of") == 1
    assert [rank.is_alive for rank in ranks] == [False, False]


def test_launcher_killed_while_it_submits(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    killed = sweep("killed", "--recipe", "faults")
    launcher = killed.start()
    wait_for(lambda: job_ids(slurm_cluster, killed.name), 180, killed.story, every_s=0.02)
    launcher.send_signal(signal.SIGKILL)  # at the very moment at which its first job is there
    launcher.wait()
    killed.start()
    assert killed.wait() == 0, killed.story()
    cell = killed.cell()
    assert_same_run(cell, reference(), killed.store)
    assert trained_once(cell)
    assert len(job_ids(slurm_cluster, killed.name)) <= 4


def test_two_shells_submit_the_same_sweep_at_once(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    twice = sweep("twice", "--recipe", "faults-alike")
    launchers = [twice.start(), twice.start()]
    assert [launcher.wait(timeout=600) for launcher in launchers] == [0, 0], twice.story()
    assert len(twice.cells) == 2
    for cell in twice.cells:
        assert_same_run(cell, reference(), twice.store)
        assert trained_once(cell)


def trained_once(cell) -> bool:
    return told(cell).count("epoch 1 of") == 1 and not endings(cell)
