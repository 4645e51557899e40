"""Faults 1 to 3: SLURM takes the nodes from a run, with more, less or no warning."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import faults
from tests.cluster.cluster import Cluster
from tests.faults.ranks import Rank, living_ranks, standing_still
from tests.faults.reference import Reference, assert_same_run
from tests.faults.story import endings, log_text, wait_for_restart
from tests.faults.sweep import Sweep
from tests.pipeline.tracking.stores import quiet_mlflow
from tests.waiting import wait_for

pytestmark = [quiet_mlflow, pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]


@pytest.mark.slow(55)
def test_time_limit_on_two_nodes(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    limited = sweep("limit", "--recipe", "faults", "--nodes", "2", "--signal-delay-s", "90")
    limited.start()
    cell = limited.cell()
    limited.wait_for_step(cell, 15)
    ranks = living_ranks(cell)
    assert [rank.number for rank in ranks] == [0, 1]
    assert len({rank.node for rank in ranks}) == 2
    job = ranks[0].job
    with standing_still(
        ranks
    ):  # SLURM looks at time limits twice a minute, and this run is not to end before
        shorten(slurm_cluster, job)
        wait_for(lambda: all(heard(rank) for rank in ranks), 120, limited.story)
    wait_for_restart(slurm_cluster, job, 1, 120, limited.story)
    slurm_cluster.run(["scontrol", "update", f"JobId={job}", "TimeLimit=30"])
    limited.wait_until_done()
    assert_same_run(cell, reference(), limited.store)
    assert endings(cell) == ["interrupted"]
    assert "stopped after step" in log_text(cell)


@pytest.mark.slow(70)
def test_requeue_from_outside_and_preemption_with_and_without_the_user_signal(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    back = sweep("back", "--recipe", "faults")
    back.start()
    cell = back.cell()
    for count, (what, step) in enumerate((("requeue", 25), ("user signal", 80), ("SIGTERM", 135)), start=1):
        back.wait_for_step(cell, step)
        job, node = living_ranks(cell)[0].job, living_ranks(cell)[0].node
        if what == "requeue":
            assert slurm_cluster.run(["scontrol", "requeue", job]).returncode == 0
        else:
            faults.signal_before_preemption(slurm_cluster, what == "user signal")
            faults.push_aside(slurm_cluster, node, seconds=1)
        wait_for_restart(slurm_cluster, job, count, 120, back.story)
        back.wait_for_words(cell, "stopped after step", times=count)  # the signal was handled
    back.wait_until_done()
    assert_same_run(cell, reference(), back.store)
    assert log_text(cell).count("resuming from step") == 3


def shorten(cluster: Cluster, job: str) -> None:
    """Set a job's time limit so that its end is less than two minutes away, and its warning is due."""
    shown = cluster.run(["squeue", "--noheader", f"--jobs={job}", "--format=%M"]).stdout.strip()
    minutes = int(shown.split(":")[0])
    done = cluster.run(["scontrol", "update", f"JobId={job}", f"TimeLimit={minutes + 2}"])
    assert done.returncode == 0, done.stderr


def heard(rank: Rank) -> bool:
    """Whether USR2 is pending for a stopped process, or SLURM has continued the process for it and it is gone."""
    try:
        status = Path(f"/proc/{rank.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    pending = (line.split()[1] for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd")))
    return not rank.is_alive or any(int(mask, 16) & 1 << (signal.SIGUSR2 - 1) for mask in pending)
