"""What fault tests rely on: killed processes are gone, restarted ones are back, and the rest keeps running."""

from __future__ import annotations

import pytest

from tests.cluster import faults
from tests.cluster.cluster import Cluster
from tests.waiting import wait_for

pytestmark = pytest.mark.slurm


def names(cluster: Cluster, node: str) -> set[str]:
    return {process.name for process in faults.processes_of(cluster, node)}


@pytest.mark.slow
def test_killed_daemons_are_gone_and_come_back(slurm_cluster: Cluster):
    slurm_cluster.wait_idle()
    options = ["--nodelist=n1,n2", "-N2", "--output=/dev/null", "--wrap=srun sleep 300"]
    assert slurm_cluster.run(["sbatch", *options]).returncode == 0
    wait_for(lambda: "sleep" in names(slurm_cluster, "n1") & names(slurm_cluster, "n2"))
    try:
        faults.kill_slurmd(slurm_cluster, "n1")
        assert {"slurmstepd", "sleep"} <= names(slurm_cluster, "n1")
        assert "slurmd" not in names(slurm_cluster, "n1")
        faults.kill_node(slurm_cluster, "n2")
        assert names(slurm_cluster, "n2") == set()
        assert names(slurm_cluster, "n3") == {"slurmd"}
        faults.stop_controller(slurm_cluster)
        assert slurm_cluster.run(["squeue"]).returncode != 0
    finally:
        faults.mend(slurm_cluster)
    assert {"slurmd"} <= names(slurm_cluster, "n1") & names(slurm_cluster, "n2")
    slurm_cluster.run(["scancel", "--user=root"])
    slurm_cluster.wait_idle()


def test_the_signal_before_preemption_can_be_switched(slurm_cluster: Cluster):
    def setting() -> str:
        shown = slurm_cluster.run(["scontrol", "show", "config"]).stdout
        return next(line for line in shown.splitlines() if line.startswith("SlurmctldParameters"))

    assert setting().endswith("= preempt_send_user_signal")
    try:
        faults.signal_before_preemption(slurm_cluster, False)
        assert setting().endswith("= (null)")
    finally:
        faults.signal_before_preemption(slurm_cluster, True)
    assert setting().endswith("= preempt_send_user_signal")
