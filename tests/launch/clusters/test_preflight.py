"""The look before the first job: each problem that can be provoked, on the real SLURM."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from launch.clusters.facts import ClusterFacts, Partition, read_facts
from launch.clusters.findings import Finding
from launch.clusters.node_check import check_on_a_node, judged
from launch.clusters.preflight import asked_finding, cluster_findings, preflight
from launch.clusters.resources import Resources
from launch.clusters.site import resolve
from pipeline.cell import Cell
from tests.pipeline.runs import small_run

ROOT = Path(__file__).parents[3]
FACTS = ClusterFacts(
    version="22.05.8",
    has_accounting=True,
    requeues=True,
    max_array_size=1001,
    max_job_count=10000,
    partitions=(Partition(name="main", is_default=True, limit_minutes=None),),
)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return tmp_path / "a sweep; echo 'x'"


@pytest.fixture
def store(tmp_path: Path) -> str:
    (tmp_path / "mlflow.db").touch()
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def hidden(slurm_cluster, tmp_path) -> Iterator[Path]:
    """A disk that the nodes do not have: mounted here, and each node has a mount namespace of its own."""
    folder = tmp_path / "hidden"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def of_level(level: str, findings: list[Finding]) -> list[str]:
    return [finding.sentence for finding in findings if finding.level == level]


def problem(findings: list[Finding]) -> str:
    (sentence,) = of_level("problem", findings)
    return sentence


# what the cluster's settings mean


def test_a_cluster_without_accounting_is_worked_with_and_told():
    assert of_level("warning", cluster_findings(Resources(), FACTS, 10)) == []
    (sentence,) = of_level("warning", cluster_findings(Resources(), replace(FACTS, has_accounting=False), 10))
    assert "keeps no accounts" in sentence


def test_jobs_that_are_put_back_only_when_they_ask_are_no_worry_and_cancelled_ones_are():
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
def test_more_jobs_than_the_cluster_keeps_are_told_with_numbers(cells, level):
    findings = [finding for finding in cluster_findings(Resources(), FACTS, cells) if finding.level != "ok"]
    assert [finding.level for finding in findings] == ([level] if level else [])
    assert all(f"{2 * cells} jobs" in finding.sentence for finding in findings)


# what a node says, without one


SEEN = {
    "host": "n1",
    "python": "3.11.2",
    "shared": True,
    "write_error": None,
    "missing": [],
    "code": True,
    "import_errors": [],
    "torch": True,
}
ASKED = {"file": "/runs/s/.probe", "code": "/code"}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"write_error": "Read-only file system"}, "n1 cannot write to /runs/s (Read-only file system)"),
        ({"torch": False}, "n1 finds no torch with"),
        (
            {"import_errors": ["submitit does not import (X: y)"]},
            "on node n1 the code cannot run: submitit does",
        ),
    ],
)
def test_what_a_node_lacks_is_a_problem_with_what_to_do(seen, words):
    findings = judged(SEEN | seen, ASKED, tracking="sqlite:////x", came_back="write_error" not in seen)
    assert words in problem(findings)


def test_what_a_node_wrote_and_is_not_seen_here_is_a_problem():
    assert "does not appear here" in problem(judged(SEEN, ASKED, tracking="sqlite:////x", came_back=False))


def test_the_stores_password_is_neither_sent_nor_shown(tmp_path, sweep, monkeypatch):
    (tmp_path / "srun").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\nexit 1\n')
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for uri in ("http://me:geheim@server:5000", "postgresql://me:geheim@server/db?password=geheim"):
        findings = check_on_a_node(Resources(), sweep=sweep, data=[], tracking=uri, code=ROOT)
        assert "did not run" in findings[0].sentence
        arguments = (tmp_path / "arguments").read_text()
        assert "server" in arguments
        assert "geheim" not in arguments
        shown = judged(SEEN | {"store": "refused"}, ASKED, tracking=uri, came_back=True)
        assert "server" in problem(shown)
        assert "geheim" not in problem(shown)


# on the real SLURM


@pytest.mark.slurm
def test_all_is_well_on_a_cluster_where_all_is_well(slurm_cluster, tiny_data_set, sweep, store):
    slurm_cluster.wait_idle()
    run = small_run(tiny_data_set, ranks=4)
    facts = read_facts()
    resources, _ = resolve(Resources(), None, facts, 4)
    findings = preflight(
        resources,
        facts,
        sweep=sweep,
        data=[tiny_data_set],
        tracking=store,
        code=ROOT,
        cells=[Cell(sweep / "x", run)] * 3,
    )
    assert {finding.level for finding in findings} == {"ok"}
    told = " ".join(finding.sentence for finding in findings)
    for words in (
        "accounting is there",
        "3 cells",
        "sbatch takes such jobs",
        "n1 reads and writes",
        "imports the code",
    ):
        assert words in told
    assert f"reaches the tracking store {store}" in told
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
        (Resources(nodes=1, gpus_per_node=3), 3, ("not available", "has 3 GPUs, the most that one has is 2")),
        (Resources(nodes=5), 5, ("sbatch refuses", "has 4 nodes with")),
        (Resources(nodes=1, cpus_per_task=9), 1, ("sbatch refuses", "0 nodes with 9 processors")),
        (Resources(memory_gb=1000.0), 1, ("sbatch refuses", "has 1000 GB, the most that one has is 15.6 GB")),
        (Resources(constraint="h100"), 1, ("Invalid feature specification",)),
        (Resources(sbatch={"mail-type": "SOMETIMES"}), 1, ("--mail-type",)),
    ],
)
def test_what_sbatch_refuses_is_told_in_its_words_and_why(slurm_cluster, asked, ranks, words):
    finding = asked_finding(asked, read_facts(), ranks, 2)
    assert finding.level == "problem"
    for word in words:
        assert word in finding.sentence


@pytest.mark.slurm
def test_no_node_is_bothered_where_sbatch_refuses(slurm_cluster, tiny_data_set, sweep, store, monkeypatch):
    monkeypatch.setattr("launch.clusters.preflight.on_network_disk", lambda uri: uri == store)
    findings = preflight(
        Resources(partition="nowhere"),
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
def test_a_time_above_the_partitions_limit_is_told_and_the_choice_stays_below(slurm_cluster):
    limited = ["scontrol", "update", "PartitionName=urgent"]
    assert slurm_cluster.run([*limited, "MaxTime=90"]).returncode == 0
    try:
        facts = read_facts()
        finding = asked_finding(Resources(partition="urgent", hours=2.0), facts, 1, 1)
        chosen, _ = resolve(Resources(partition="urgent"), None, facts, 1)
        fits = asked_finding(chosen, facts, 1, 1)
    finally:
        slurm_cluster.run([*limited, "MaxTime=UNLIMITED"])
    assert finding.level == "problem"
    assert "partition urgent allows 1.5 h, and 2 are asked for" in finding.sentence
    assert (chosen.hours, fits.level) == (1.5, "ok")


@pytest.mark.slurm
def test_a_partition_that_takes_no_jobs_is_told(slurm_cluster):
    state = ["scontrol", "update", "PartitionName=urgent"]
    assert slurm_cluster.run([*state, "State=DOWN"]).returncode == 0
    try:
        finding = asked_finding(Resources(partition="urgent"), read_facts(), 1, 1)
    finally:
        slurm_cluster.run([*state, "State=UP"])
    assert finding.level == "problem"
    assert "partition urgent takes no jobs at the moment" in finding.sentence


@pytest.mark.slurm
def test_a_sweep_on_a_disk_that_the_nodes_do_not_have_is_a_problem(hidden, store):
    findings = check_on_a_node(Resources(), sweep=hidden / "s", data=[], tracking=store, code=ROOT)
    assert "does not see the sweep's folder" in problem(findings)
    assert list((hidden / "s").iterdir()) == []


@pytest.mark.slurm
def test_data_code_and_store_on_a_disk_that_the_nodes_do_not_have_are_problems(hidden, sweep):
    for name in ("data", "code"):
        (hidden / name).mkdir()
    (hidden / "mlflow.db").touch()
    findings = check_on_a_node(
        Resources(),
        sweep=sweep,
        data=[hidden / "data", hidden / "not prepared yet"],
        tracking=f"sqlite:///{hidden / 'mlflow.db'}",
        code=hidden / "code",
    )
    data, code, store = of_level("problem", findings)
    assert f"does not see the data in {hidden / 'data'}" in data
    assert f"does not see the code in {hidden / 'code'}" in code
    assert f"does not see the tracking store sqlite:///{hidden / 'mlflow.db'}: start 'mlflow server'" in store


@pytest.mark.slurm
def test_code_that_does_not_import_and_a_python_that_is_not_there_are_problems(
    slurm_cluster, sweep, store, tmp_path, monkeypatch
):
    findings = check_on_a_node(Resources(), sweep=sweep, data=[], tracking=store, code=tmp_path)
    assert f"data_prep is not found in {tmp_path}" in problem(findings)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    (finding,) = check_on_a_node(Resources(), sweep=sweep, data=[], tracking=store, code=ROOT)
    assert finding.level == "problem"
    assert "does not have the Python that runs here, /nowhere/python" in finding.sentence


class Refusing(BaseHTTPRequestHandler):
    """A server that wants a password."""

    def do_GET(self) -> None:
        self.send_error(401)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def server() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        try:
            yield served.server_port
        finally:
            served.shutdown()
            thread.join()


@pytest.mark.slurm
def test_a_server_that_answers_is_reached_and_one_that_is_gone_is_not(slurm_cluster, sweep):
    with server() as port:
        uris = [f"http://me:geheim@127.0.0.1:{port}", f"postgresql://me:geheim@127.0.0.1:{port}/mlflow"]
        for uri in uris:
            findings = check_on_a_node(Resources(), sweep=sweep, data=[], tracking=uri, code=ROOT)
            assert of_level("problem", findings) == []
            assert "reaches the tracking store" in findings[-1].sentence
    for uri in uris:
        findings = check_on_a_node(Resources(), sweep=sweep, data=[], tracking=uri, code=ROOT)
        assert "Connection refused" in problem(findings)
        assert "--host 0.0.0.0" in problem(findings)
        assert "geheim" not in problem(findings)


@pytest.mark.slurm
def test_where_no_node_is_free_that_is_said_and_nothing_waits(slurm_cluster, sweep, store):
    slurm_cluster.wait_idle()
    taken = slurm_cluster.run(
        [
            "sbatch",
            "--nodes=4",
            "--exclusive",
            "--partition=urgent",
            "--output=/dev/null",
            "--wrap",
            "sleep 120",
        ]
    )
    job = taken.stdout.split()[-1]
    try:
        deadline = time.monotonic() + 30
        while (
            "RUNNING"
            not in slurm_cluster.run(["squeue", "--noheader", "--format=%T", f"--jobs={job}"]).stdout
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (finding,) = check_on_a_node(Resources(), sweep=sweep, data=[], tracking=store, code=ROOT, wait_s=2)
    finally:
        slurm_cluster.run(["scancel", job])
    assert finding.level == "warning"
    assert "no node was free within 2 s" in finding.sentence
    assert list(sweep.iterdir()) == []
