"""Preflight checks: what the cluster's settings mean, and what the real SLURM's sbatch says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from launch.clusters.resources import Resources
from launch.clusters.slurm.facts import ClusterFacts, NodeKind, Partition, read_facts
from launch.clusters.slurm.preflight import (
    Shape,
    cluster_findings,
    preflight,
    sbatch_finding,
    sbatch_findings,
)
from launch.clusters.slurm.site import resolve
from pipeline.cell import Cell
from tests.launch.clusters.slurm.findings import of_level, problem
from tests.pipeline.runs import small_run

ROOT = Path(__file__).parents[4]
FACTS = ClusterFacts(
    version="22.05.8",
    has_accounting=True,
    requeues=True,
    max_array_size=1001,
    max_job_count=10000,
    partitions=(Partition(name="main", is_default=True, limit_minutes=None),),
)

WITH_A100 = replace(
    FACTS,
    partitions=(
        replace(
            FACTS.partitions[0],
            kinds=(NodeKind(count=2, cpus=8, memory_mb=9000, gpus=4, gpu_types=(("a100", 4),)),),
        ),
    ),
)


def shape(resources: Resources, ranks: int = 1, jobs: int = 1, what: str = "training") -> Shape:
    return Shape(what=what, resources=resources, ranks=ranks, jobs=jobs, remedy="do something else")


def test_a_cluster_without_accounting_works_and_is_mentioned():
    assert of_level("warning", cluster_findings(Resources(), FACTS, 10)) == []
    (sentence,) = of_level("warning", cluster_findings(Resources(), replace(FACTS, has_accounting=False), 10))
    assert "has no accounting" in sentence


def test_requeueing_on_request_is_fine_and_cancelling_preempted_jobs_is_a_warning():
    findings = cluster_findings(Resources(), replace(FACTS, requeues=False), 10)
    assert {finding.level for finding in findings} == {"ok"}
    assert "JobRequeue=0" in findings[-1].sentence
    cancels = replace(FACTS.partitions[0], preempt_mode="CANCEL")
    (sentence,) = of_level(
        "warning", cluster_findings(Resources(), replace(FACTS, partitions=(cancels,)), 10)
    )
    assert "partition main" in sentence
    assert "PreemptMode=CANCEL" in sentence


@pytest.mark.parametrize(
    ("cells", "level"), [(2500, None), (2501, "warning"), (5000, "warning"), (5001, "problem")]
)
def test_more_jobs_than_the_cluster_keeps_are_reported_with_numbers(cells, level):
    findings = [finding for finding in cluster_findings(Resources(), FACTS, cells) if finding.level != "ok"]
    assert [finding.level for finding in findings] == ([level] if level else [])
    assert all(f"{2 * cells:,} jobs" in finding.sentence for finding in findings)


def test_a_hidden_partition_is_accepted_if_sbatch_accepts_it(tmp_path, monkeypatch):
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 'sbatch: Job 1 to start at once on n1' >&2\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sbatch_finding(shape(Resources(partition="hidden")), FACTS).level == "ok"


ANSWERS = """#!/bin/sh
case "$0 $*" in
  *sinfo*) printf 'n3|drained*|maintenance until noon\\nn4|down|Not responding\\nn5|idle|none\\n';;
  *array=0-[1-9]*) echo 'sbatch: error: AssocMaxSubmitJobLimit' >&2; exit 1;;
  *) echo 'allocation failure: {}' >&2; exit 1;;
esac
"""


@pytest.mark.parametrize(
    ("reply", "level", "words"),
    [
        ("Requested node configuration is not available", "warning",
         "no node for training can start a job at the moment: in main, of 3 nodes, 1 is drained (maintenance until noon),"
         " 1 is down (Not responding); the jobs wait until they are back"),
        ("AssocMaxSubmitJobLimit", "warning", "the queue has no room for a job for training"),
        ("Invalid account", "problem", "sbatch refuses jobs for training"),
    ],
)  # fmt: skip
def test_what_passes_by_itself_is_a_warning(tmp_path, monkeypatch, reply: str, level: str, words: str):
    """Nodes that are drained, and a full queue: recorded messages of SLURM 22.05."""
    for name in ("sbatch", "sinfo"):
        (tmp_path / name).write_text(ANSWERS.format(reply))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = replace(
        FACTS,
        partitions=(
            replace(FACTS.partitions[0], kinds=(NodeKind(count=3, cpus=4, memory_mb=4000, gpus=0),)),
        ),
    )
    found = sbatch_finding(shape(Resources(partition="main"), jobs=5), facts)
    assert found.level == level
    assert words in found.sentence


def test_each_shape_of_job_is_tried_once_until_one_is_refused(tmp_path, monkeypatch):
    """A site that refuses jobs without GPUs in its GPU partition."""
    (tmp_path / "sbatch").write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\ncase "$*" in *gpus*) exit 0;; esac\n'
        "echo 'sbatch: error: Cannot find GPU specification' >&2; exit 1\n"
    )
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    on_gpus = Resources(gpus_per_node="a100:4")
    small = shape(on_gpus.of_small_jobs(), what="tables")
    shapes = [shape(on_gpus, 2), shape(on_gpus, 2, what="measuring"), shape(on_gpus, 1), small]
    findings = sbatch_findings(shapes, WITH_A100)
    assert [finding.level for finding in findings] == ["ok", "ok", "problem"]
    assert problem(findings) == (
        "sbatch refuses jobs for tables (Cannot find GPU specification): do something else"
    )
    calls = (tmp_path / "calls").read_text().splitlines()
    assert ["a100:2" in calls[0], "a100:1" in calls[1], "gpus" in calls[2]] == [True, True, False]


def test_gpus_of_a_type_that_no_node_has_are_reported_with_the_types(tmp_path, monkeypatch):
    (tmp_path / "sbatch").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = sbatch_finding(shape(Resources(gpus_per_node="v100:1")), WITH_A100)
    assert (
        "no node of partition main has 1 GPU of type v100; the maximum is 0, the types are a100"
        in refused.sentence
    )


@pytest.mark.slurm
def test_everything_is_fine_on_a_working_cluster(slurm_cluster, tiny_data_set, sweep, store):
    slurm_cluster.wait_idle()
    run = small_run(tiny_data_set, ranks=4)
    facts = read_facts()
    resources, _ = resolve(Resources(), None, facts, 4)
    findings = preflight(
        [shape(resources, 4, 3)],
        facts,
        sweep=sweep,
        data=[tiny_data_set],
        tracking=store,
        code=ROOT,
        cells=[Cell(sweep / "x", run)] * 3,
    )
    assert {finding.level for finding in findings} == {"ok"}
    text = " ".join(finding.sentence for finding in findings)
    for words in (
        "accounting is available",
        "3 cells",
        "sbatch accepts jobs for training",
        "n1 reads and writes",
        "imports the code",
    ):
        assert words in text
    assert f"reaches the tracking store {store}" in text
    assert list(sweep.iterdir()) == []
    assert slurm_cluster.run(["squeue", "--noheader", "--states=PENDING,RUNNING"]).stdout == ""


@pytest.mark.slurm
@pytest.mark.parametrize(
    ("asked", "ranks", "words"),
    [
        (
            Resources(partition="nowhere"),
            1,
            ("nvalid partition", "this cluster's partitions are main, urgent"),
        ),
        (Resources(partition="main,nowhere"), 1, ("this cluster's partitions are main, urgent",)),
        (Resources(nodes=1, gpus_per_node=3), 3, ("not available", "has 3 GPUs; the maximum is 2")),
        (Resources(nodes=5), 5, ("sbatch refuses", "has 4 nodes with")),
        (Resources(nodes=1, cpus_per_task=9), 1, ("sbatch refuses", "0 nodes with 9 CPUs")),
        (Resources(memory_gb=1000.0), 1, ("sbatch refuses", "has 1000 GB; the maximum is 15.6 GB")),
        (Resources(constraint="h100"), 1, ("Invalid feature specification",)),
        (Resources(sbatch={"mail-type": "SOMETIMES"}), 1, ("--mail-type",)),
    ],
)
def test_a_refusal_by_sbatch_is_reported_with_its_message_and_the_reason(slurm_cluster, asked, ranks, words):
    finding = sbatch_finding(shape(asked, ranks, 2), read_facts())
    assert finding.level == "problem"
    for word in words:
        assert word in finding.sentence


@pytest.mark.slurm
def test_no_task_is_sent_to_a_node_if_sbatch_refuses(slurm_cluster, tiny_data_set, sweep, store, monkeypatch):
    monkeypatch.setattr("launch.clusters.slurm.preflight.on_network_disk", lambda uri: uri == store)
    findings = preflight(
        [shape(Resources(partition="nowhere"))],
        read_facts(),
        sweep=sweep,
        data=[tiny_data_set],
        tracking=store,
        code=ROOT,
        cells=[Cell(sweep / "x", small_run(tiny_data_set))],
    )
    assert "sbatch refuses" in problem(findings)
    (warning,) = of_level("warning", findings)
    assert "network disk, where writers on several nodes damage it: start 'mlflow server'" in warning
    assert not any("node n" in finding.sentence for finding in findings)
    assert not sweep.exists()


@pytest.mark.slurm
def test_a_time_above_the_partitions_limit_is_a_problem_and_the_default_stays_below(slurm_cluster):
    limited = ["scontrol", "update", "PartitionName=urgent"]
    assert slurm_cluster.run([*limited, "MaxTime=90"]).returncode == 0
    try:
        facts = read_facts()
        finding = sbatch_finding(shape(Resources(partition="urgent", hours=2.0)), facts)
        chosen, _ = resolve(Resources(partition="urgent"), None, facts, 1)
        fits = sbatch_finding(shape(chosen), facts)
    finally:
        slurm_cluster.run([*limited, "MaxTime=UNLIMITED"])
    assert finding.level == "problem"
    assert "partition urgent allows 1.5 h, but 2 are requested" in finding.sentence
    assert (chosen.hours, fits.level) == (1.5, "ok")


@pytest.mark.slurm
def test_a_partition_that_accepts_no_jobs_is_reported(slurm_cluster):
    state = ["scontrol", "update", "PartitionName=urgent"]
    assert slurm_cluster.run([*state, "State=DOWN"]).returncode == 0
    try:
        finding = sbatch_finding(shape(Resources(partition="urgent")), read_facts())
    finally:
        slurm_cluster.run([*state, "State=UP"])
    assert finding.level == "problem"
    assert "partition urgent accepts no jobs at the moment" in finding.sentence
