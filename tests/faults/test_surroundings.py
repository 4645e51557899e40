"""Faults 11 to 13: losing what a run does not need while it runs: the server, slurmctld, the launcher."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.cluster import faults
from tests.cluster.cluster import Cluster
from tests.faults.ranks import Rank, living_ranks, standing_still
from tests.faults.reference import Reference, assert_same_run
from tests.faults.story import endings, job_ids, log_text
from tests.faults.sweep import Sweep, newest_record
from tests.pipeline.tracking.stores import Server, quiet_mlflow
from tests.waiting import wait_for

pytestmark = [quiet_mlflow, pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]


@pytest.mark.slow(90)
def test_server_slurmctld_and_launcher_are_down_while_a_run_continues(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference], server: Server
):
    deserted = sweep("deserted", "--recipe", "faults", tracking_uri=server.uri)
    launcher = deserted.start()
    cell = deserted.cell()
    deserted.wait_for_step(cell, 25)
    ranks = living_ranks(cell)
    with standing_still(ranks[1:]):  # rank 0 waits for the other, and uploads meanwhile
        wait_for(lambda: '"run_id": "' in (cell.folder / "tracking.json").read_text(), 180, deserted.story)
        submitted = job_ids(slurm_cluster, deserted.name)
        server.stop()
        faults.stop_controller(slurm_cluster)
        deserted.wait_for_words(cell, "does not accept the points")
    deserted.wait_for_step(cell, 100)  # training waits for neither
    assert launcher.poll() is None, deserted.story()
    launcher.kill()
    launcher.wait()
    faults.start_controller(slurm_cluster)
    server.start()
    deserted.start()
    assert deserted.wait() == 0, deserted.story()
    assert_same_run(cell, reference(), deserted.store)
    assert job_ids(slurm_cluster, deserted.name) == submitted
    assert trained_once(cell)
    assert not any(rank.is_alive for rank in ranks)


@pytest.mark.slow(70)
def test_slurmctld_is_killed_right_after_a_restart_that_it_then_forgets(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    forgotten = sweep("forgotten", "--recipe", "faults")
    launcher = forgotten.start()
    cell = forgotten.cell()
    forgotten.wait_for_step(cell, 25)
    first, *_ = living_ranks(cell)
    slurm_cluster.run(["scontrol", "requeue", first.job])
    wait_for(lambda: {rank.restart for rank in living_ranks(cell)} == {1}, 180, forgotten.story, every_s=0.02)
    faults.stop_controller(slurm_cluster, signal.SIGKILL)
    newest = newest_record(cell)
    faults.start_controller(slurm_cluster)
    start_elsewhere_if_it_waits(slurm_cluster, first)
    forgotten.wait_for_step(cell, newest + 15)
    assert launcher.wait(timeout=600) == 0, forgotten.story()
    assert_same_run(cell, reference(), forgotten.store)


def start_elsewhere_if_it_waits(cluster: Cluster, rank: Rank) -> None:
    """If SLURM has forgotten that the job of a rank runs, keep it from its node; whether it has is a matter of milliseconds.

    This cluster starts it again within a second, while its node still ends the copy that was forgotten: SLURM drains a node
    that has a job already. A real one looks for jobs every 30 s.
    """
    if "PENDING" in cluster.run(["squeue", "--noheader", "--format=%T", f"--jobs={rank.job}"]).stdout:
        cluster.run(["scontrol", "hold", rank.job])
        cluster.run(["scontrol", "update", f"JobId={rank.job}", f"ExcNodeList={rank.node}"])
        cluster.run(["scontrol", "release", rank.job])


def trained_once(cell) -> bool:
    return log_text(cell).count("epoch 1 of") == 1 and not endings(cell)
