"""Three cells that share a job: the job is requeued, one is killed, and one diverges."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.cluster.cluster import Cluster
from tests.faults.ranks import living_ranks, wait_until_gone
from tests.faults.reference import Reference, assert_same_run
from tests.faults.story import endings, held_back, log_text, restarts
from tests.faults.sweep import Sweep
from tests.faults.test_ranks import poison
from tests.pipeline.tracking.stores import quiet_mlflow

pytestmark = [quiet_mlflow, pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]


@pytest.mark.slow(105)
def test_a_job_of_three_is_requeued_one_of_them_is_killed_and_one_diverges(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    shared = sweep("shared", "--recipe", "faults-packed", "--cells-per-gpu", "3")
    launcher = shared.start()
    killed, diverging, other = (shared.cell(number) for number in range(3))
    for cell in (killed, diverging, other):
        shared.wait_for_step(cell, 25)
    (job,) = {rank.job for cell in (killed, diverging, other) for rank in living_ranks(cell)}
    with held_back(slurm_cluster, job, other):
        poison(diverging)
    shared.wait_for_words(killed, "resuming from step")
    before = living_ranks(killed)
    before[0].signal(signal.SIGKILL)
    wait_until_gone(before, 60, shared.story)
    assert launcher.wait(timeout=600) == 1, shared.story()

    said = diverging.failed() or ""
    assert said.startswith("the objective is ")
    assert said in shared.log.read_text()
    assert restarts(slurm_cluster, job) == 1  # that was us
    assert endings(killed) == ["crashed"]
    assert endings(diverging) == ["failed"]
    assert endings(other) == []
    assert log_text(killed).count("resuming from step") == 2
    for cell in (killed, other):
        assert_same_run(cell, reference(1), shared.store)
