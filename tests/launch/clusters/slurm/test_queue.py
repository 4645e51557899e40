from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from data_prep.errors import LaunchError
from launch.clusters.slurm import queue
from launch.clusters.slurm.queue import (
    EndedJob,
    QueuedJob,
    cancel,
    ended,
    parse_accounts,
    parse_queue,
    queued,
)
from launch.clusters.slurm.reasons import ended_words, reason_words


def line(**fields: str) -> bytes:
    """A line of squeue's output: padded to each column's width in bytes."""
    return b"".join(
        fields.get(column, "").encode().ljust(width)[:width] for column, width in queue._COLUMNS.items()
    )


def test_names_and_comments_may_hold_any_character():
    answer = line(JobArrayID="12_3", State="PENDING", Reason="Priority", Name="a | b; é", Comment="x|y")
    (job,) = parse_queue(answer + b"\n")
    assert (job.id, job.name, job.comment, job.explanation) == (
        "12_3",
        "a | b; é",
        "x|y",
        "Priority (other jobs come first)",
    )


def test_a_line_break_in_a_comment_hides_no_other_job():
    broken = (
        line(JobArrayID="1", State="RUNNING", Comment="traitvae").rstrip() + b"\n77 b" + b" " * 300 + b"\n"
    )
    whole = line(JobArrayID="2_0", State="RUNNING", NodeList="n1", RestartCnt="3", TimeLeft="1-02:03:04")
    first, second = parse_queue(broken + whole + b"\n")
    assert first.id == "1"
    assert second == QueuedJob(id="2_0", state="RUNNING", node="n1", restarts=3, time_left="1-02:03:04")


def test_accounting_has_only_jobs_that_have_ended():
    answer = (
        b"5_0|COMPLETED|0:0|n1\n5_1|RUNNING|0:0|n1\n5_[2-9]|PENDING|0:0|None assigned\n"
        b"5_2|CANCELLED by 0|0:15|n2\n6|FAILED|137:0|n[1-2]\n7|REQUEUED|0:0|n1\n"
    )
    jobs = {job.id: job for job in parse_accounts(answer)}
    assert list(jobs) == ["5_0", "5_2", "6"]
    assert jobs["5_2"] == EndedJob(id="5_2", state="CANCELLED", signal=15, node="n2", cancelled_by=0)
    assert jobs["5_2"].explanation == "CANCELLED by root"
    assert jobs["6"].explanation == "FAILED on n[1-2] (SIGKILL, often out of memory)"
    assert jobs["5_0"].explanation == ""


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Resources", "Resources (no free node at the moment)"),
        ("QOSMaxJobsPerUserLimit", "QOSMaxJobsPerUserLimit (a limit of the QOS is reached)"),
        ("QOSMaxGRESPerUser", "QOSMaxGRESPerUser (a limit of the QOS is reached)"),
        ("AssocGrpCpuLimit", "AssocGrpCpuLimit (a limit of your account is reached)"),
        ("AssociationJobLimit", "AssociationJobLimit (a limit of your account is reached)"),
        ("QOSNotAllowed", "QOSNotAllowed"),
        (
            "ReqNodeNotAvail, UnavailableNodes:n[1-4]",
            "ReqNodeNotAvail, UnavailableNodes:n[1-4] (a node that it needs is down or reserved)",
        ),
        (
            "launch failed requeued held",
            "launch failed requeued held (it could not be started on its node; 'scontrol release' lets it go)",
        ),
        ("SomethingNew", "SomethingNew"),
        ("QOS", "QOS"),
        ("", ""),
    ],
)
def test_a_reason_is_slurms_code_and_a_sentence_where_there_is_one(reason, words):
    assert reason_words(reason) == words


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("TIMEOUT", "TIMEOUT on n1 (--hours asks for more)"),
        ("OUT_OF_MEMORY", "OUT_OF_MEMORY on n1 (--memory-gb asks for more)"),
        ("NODE_FAIL", "NODE_FAIL on n1"),
        ("PREEMPTED", "PREEMPTED on n1 (a job of higher priority took its place)"),
        ("FAILED", "FAILED on n1 (exit status 3)"),
        ("SOME_THING", "SOME_THING on n1"),
    ],
)
def test_an_end_is_slurms_code_the_node_and_a_sentence_where_there_is_one(state, words):
    assert ended_words(state, 3, 0, "n1", None) == words


def test_variables_of_the_user_do_not_hide_jobs(monkeypatch):
    seen: list[dict[str, str]] = []

    def fake(command, *, env, **_):
        seen.append(env)
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setenv("SQUEUE_PARTITION", "other")
    monkeypatch.setenv("SACCT_FORMAT", "JobID")
    monkeypatch.setattr(subprocess, "run", fake)
    assert queued() == {}
    assert ended(["3_1"]).jobs == {}
    assert not {"SQUEUE_PARTITION", "SACCT_FORMAT"} & (seen[0].keys() | seen[1].keys())


def test_without_sacct_the_accounting_is_marked_as_unavailable(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert ended(["1"]).is_there is False
    assert ended([]).is_there is True  # nothing was queried


def test_without_squeue_the_sentence_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LaunchError, match="squeue is not installed on this machine"):
        queued()


T = TypeVar("T")


def until(look: Callable[[], T], good: Callable[[T], bool], seconds: float = 120.0) -> T:
    deadline = time.monotonic() + seconds
    while not good(found := look()):
        assert time.monotonic() < deadline, f"timed out, last seen: {found}"
        time.sleep(0.2)
    return found


@pytest.mark.slow
@pytest.mark.slurm
def test_a_real_cluster_is_read_without_loss(slurm_cluster, tmp_path):
    comment = "traitvae-test/é " + "c" * 300
    name = "traitvae-a b; | 'x'"
    script = tmp_path / "script.sh"
    script.write_text(
        "#!/bin/bash\ncase $SLURM_ARRAY_TASK_ID in 0) sleep 300;; 1) exit 3;; 2) kill -9 $$;; esac\n"
    )

    slurm_cluster.wait_idle(120)  # earlier tests may have left jobs that are still ending

    def submit(*options: str) -> str:
        base = ["sbatch", "--parsable", "--output=/dev/null", f"--comment={comment}", f"--job-name={name}"]
        done = slurm_cluster.run([*base, *options, str(script)])
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    array = submit("--array=0-2", "--time=30")
    held = submit("--hold", "--array=0")
    dependencies = submit(f"--dependency=aftercorr:{array}", "--array=0-2", "--kill-on-invalid-dep=yes")
    try:
        jobs = until(
            lambda: queued(name=name, comment=comment),
            lambda found: (
                f"{array}_1" not in found
                and f"{array}_2" not in found
                and f"{array}_0" in found
                and found[f"{array}_0"].is_running
                and found[f"{dependencies}_0"].explanation
                != ""  # SLURM gives a reason only after it has considered a job
            ),
        )
        running = jobs[f"{array}_0"]
        assert (running.name, running.comment) == (name, comment)
        assert running.node.startswith("n")
        assert running.time_left.startswith(("29:", "30:"))
        assert jobs[f"{held}_0"].explanation.startswith("JobHeldUser")
        assert jobs[f"{dependencies}_0"].explanation == "Dependency (waits for the jobs before it)"
        assert queued(comment="of nobody") == {}

        cancel(list(jobs))
        until(lambda: queued(comment=comment), lambda found: not found)
        ids = [f"{array}_{task}" for task in range(3)]
        accounts = until(lambda: ended(ids), lambda found: set(ids) <= found.jobs.keys())
        assert accounts.is_there
        assert accounts.jobs[ids[0]].explanation == "CANCELLED by root"
        assert accounts.jobs[ids[1]].explanation.endswith("(exit status 3)")
        assert accounts.jobs[ids[2]].explanation.endswith("(SIGKILL, often out of memory)")
    finally:
        cancel([array, held, dependencies])


@pytest.mark.slow
@pytest.mark.slurm
def test_a_controller_that_is_down_is_reported_with_squeues_message(slurm_cluster, tmp_path, monkeypatch):
    # The same configuration with a port that nobody listens on: the cluster itself is needed by other tests.
    text = slurm_cluster.conf.read_text()
    port = str(slurm_cluster.layout.controller_port)
    away = tmp_path / "slurm.conf"
    away.write_text(text.replace(f"SlurmctldPort={port}", "SlurmctldPort=9") + "MessageTimeout=2\n")
    monkeypatch.setenv("SLURM_CONF", str(away))
    with pytest.raises(LaunchError, match=r"squeue does not answer \(.*controller.*\); the jobs continue"):
        queued()
