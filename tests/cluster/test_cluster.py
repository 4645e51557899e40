"""What the launcher and its tests rely on from the SLURM on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import submitit

from tests.cluster.all_reduce import sum_over_ranks
from tests.cluster.cluster import Cluster
from tests.waiting import wait_for

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parents[2]


def output(cluster: Cluster, command: Sequence[str], timeout_s: float = 60.0) -> str:
    """What a client prints, when it succeeds."""
    done = cluster.run(command, timeout_s=timeout_s)
    assert done.returncode == 0, done.stderr
    return done.stdout


def submit(cluster: Cluster, folder: Path, script: str, *options: str, wait: bool = True) -> str:
    """Submit a batch script, whose output goes to ``<array index>.out`` in the folder; the job's id."""
    file = folder / "job.sh"
    file.write_text(f"#!/bin/sh\n{script}\n")
    waiting = ["--wait"] if wait else []
    command = ["sbatch", "--parsable", *waiting, f"--output={folder}/%a.out", *options, str(file)]
    # With --wait, a job that fails makes sbatch fail; that it was submitted shows in the id.
    done = cluster.run(command, timeout_s=60)
    assert done.stdout.strip().isdigit(), done.stderr
    return done.stdout.strip()


def accounted_state(cluster: Cluster, job: str) -> str:
    """The state of a job in accounting, once it has ended."""
    shown = ""

    def ended() -> bool:
        nonlocal shown
        shown = output(cluster, ["sacct", "-X", "-n", "-P", "-o", "State", "-j", job]).strip()
        return shown not in ("", "PENDING", "RUNNING", "COMPLETING", "REQUEUED")

    wait_for(ended)
    return shown


def field(text: str, name: str) -> str:
    """The value of ``name=value`` in what scontrol shows."""
    return next(word.partition("=")[2] for word in text.split() if word.startswith(f"{name}="))


def test_four_nodes_are_idle(slurm_cluster: Cluster) -> None:
    slurm_cluster.wait_idle()
    shown = output(slurm_cluster, ["sinfo", "-h", "-N", "-p", "main", "-o", "%N %T %c %G"])
    assert shown.splitlines() == [f"n{number} idle 4 gpu:2" for number in (1, 2, 3, 4)]


def test_tasks_see_their_own_hosts_and_ranks(slurm_cluster: Cluster) -> None:
    shown = output(
        slurm_cluster,
        [
            "srun",
            "--nodelist=n1,n2",
            "--ntasks-per-node=2",
            "sh",
            "-c",
            "echo $(hostname) $SLURM_PROCID $SLURM_LOCALID",
        ],
    )
    assert sorted(shown.splitlines()) == ["n1 0 0", "n1 1 1", "n2 2 0", "n2 3 1"]


def test_accounting_knows_how_jobs_ended(slurm_cluster: Cluster, tmp_path: Path) -> None:
    good = submit(slurm_cluster, tmp_path, "exit 0")
    bad = submit(slurm_cluster, tmp_path, "exit 3")
    assert accounted_state(slurm_cluster, good) == "COMPLETED"
    assert accounted_state(slurm_cluster, bad) == "FAILED"


def test_array_runs_each_of_its_tasks(slurm_cluster: Cluster, tmp_path: Path) -> None:
    job = submit(slurm_cluster, tmp_path, "echo $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID", "--array=0-5%3")
    assert [(tmp_path / f"{index}.out").read_text() for index in range(6)] == [
        f"{job} {index}\n" for index in range(6)
    ]


@pytest.mark.parametrize("option", ["--nodes=5", "--gpus-per-node=3", "--mem=1T", "--partition=nowhere"])
def test_request_that_can_never_run_is_refused(slurm_cluster: Cluster, option: str) -> None:
    refused = slurm_cluster.run(["sbatch", option, "--wrap", "true"])
    assert refused.returncode != 0
    assert "error" in refused.stderr


@pytest.mark.parametrize("option", ["--gres=gpu:1", "--gpus-per-node=1"])
def test_jobs_on_one_node_get_gpus_of_their_own(slurm_cluster: Cluster, tmp_path: Path, option: str) -> None:
    script = f"echo $CUDA_VISIBLE_DEVICES; touch {tmp_path}/$SLURM_ARRAY_TASK_ID.ran\n"
    # Neither ends before the other has started, so both are on the node at once.
    script += f"while ! [ -e {tmp_path}/0.ran -a -e {tmp_path}/1.ran ]; do sleep 0.1; done"
    submit(slurm_cluster, tmp_path, script, "--array=0-1", "--nodelist=n1", option)
    assert sorted((tmp_path / f"{index}.out").read_text() for index in (0, 1)) == ["0\n", "1\n"]


def test_job_with_a_bare_environment_has_home_and_path(slurm_cluster: Cluster, tmp_path: Path) -> None:
    submit(slurm_cluster, tmp_path, 'echo "$HOME:$PATH"; command -v srun', "--export=NONE")
    (written,) = tmp_path.glob("*.out")
    environment, srun = written.read_text().splitlines()
    assert environment.startswith("/root:")
    assert "/usr/bin" in environment
    assert srun.endswith("/srun")


def test_job_sees_the_submitters_variables_and_not_the_clusters(
    slurm_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_THE_SUBMITTER", "here it is")
    submit(slurm_cluster, tmp_path, 'echo "$FROM_THE_SUBMITTER"; echo "[$MYSQL_UNIX_PORT]"')
    (written,) = tmp_path.glob("*.out")
    assert written.read_text() == "here it is\n[]\n"


def test_partitions_are_ordered_by_priority(slurm_cluster: Cluster) -> None:
    main = output(slurm_cluster, ["scontrol", "show", "partition", "main"])
    urgent = output(slurm_cluster, ["scontrol", "show", "partition", "urgent"])
    names = ("Default", "PriorityTier", "PreemptMode", "GraceTime")
    assert [field(main, name) for name in names] == ["YES", "10", "REQUEUE", "10"]
    assert [field(urgent, name) for name in names] == ["NO", "100", "OFF", "0"]


def test_urgent_job_preempts_one_of_main_which_is_requeued(slurm_cluster: Cluster, tmp_path: Path) -> None:
    slurm_cluster.wait_idle()
    starts = tmp_path / "starts"
    script = f'echo "start $SLURM_RESTART_COUNT" >> {starts}; [ -n "$SLURM_RESTART_COUNT" ] || sleep 60'
    output(
        slurm_cluster, ["scontrol", "update", "PartitionName=main", "GraceTime=0"]
    )  # not to wait 10 s here
    try:
        gives_way = submit(slurm_cluster, tmp_path, script, "-N4", "--exclusive", wait=False)
        wait_for(starts.exists)
        output(slurm_cluster, ["srun", "-p", "urgent", "-N4", "true"])
        wait_for(lambda: starts.read_text() == "start \nstart 1\n")
    finally:
        output(slurm_cluster, ["scontrol", "update", "PartitionName=main", "GraceTime=10"])
    assert accounted_state(slurm_cluster, gives_way) == "COMPLETED"


def test_torch_ranks_of_two_nodes_communicate(
    slurm_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # a job starts where it was submitted, and imports from there
    executor = submitit.AutoExecutor(tmp_path, cluster="slurm")
    executor.update_parameters(
        nodes=2,
        tasks_per_node=2,
        cpus_per_task=1,
        timeout_min=10,
        slurm_additional_parameters={"nodelist": "n1,n2"},
    )
    job = executor.submit(sum_over_ranks)
    wait_for(lambda: job.done(force_check=True), bound_s=120)
    assert job.results() == [("n1", 0, 10.0), ("n1", 1, 10.0), ("n2", 2, 10.0), ("n2", 3, 10.0)]


def test_client_that_does_not_end_is_stopped(slurm_cluster: Cluster) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        slurm_cluster.run(["srun", "sleep", "60"], timeout_s=0.5)
    output(slurm_cluster, ["scancel", "--user=root"])
    slurm_cluster.wait_idle()
