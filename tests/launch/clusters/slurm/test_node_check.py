"""What a node sees, for each problem that can be provoked: with made-up answers, and on the real SLURM."""

from __future__ import annotations

import re
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from launch.clusters.resources import Resources
from launch.clusters.slurm.node_check import check_on_a_node, judged, network_findings
from tests.launch.clusters.slurm.findings import of_level, problem

ROOT = Path(__file__).parents[4]
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
        ({"torch": False}, "n1 does not find torch with"),
        (
            {"import_errors": ["submitit does not import (X: y)"]},
            "on node n1 the code cannot run: submitit does",
        ),
    ],
)
def test_what_a_node_lacks_is_a_problem_with_a_remedy(seen, words):
    findings = judged(SEEN | seen, ASKED, tracking="sqlite:////x", came_back="write_error" not in seen)
    assert words in problem(findings)


REACHABLE = {"own_address": "10.0.0.1", "peers": {"n2": "10.0.0.2"}, "interfaces": {"ib0": "10.1.0.1"}}


@pytest.mark.parametrize(
    ("seen", "options", "words"),
    [
        ({}, {}, None),
        ({"own_address": "127.0.1.1"}, {}, "knows itself as 127.0.1.1, where ranks on other nodes cannot reach it"),
        ({"own_address": "127.0.1.1"}, {"network_interface": "ib0"}, None),
        ({"own_address": "127.0.1.1", "peers": {"n1": "127.0.1.1", "n2": "127.0.0.1"}}, {}, None),  # emulated nodes
        ({"own_address": "127.0.1.1", "peers": {}}, {}, None),  # of one rank
        ({}, {"network_interface": "eth9"}, "node n1 has no network interface eth9"),
    ],
)  # fmt: skip
def test_a_node_that_other_ranks_cannot_reach_is_a_problem_with_its_interfaces(seen, options, words):
    findings = network_findings(SEEN | REACHABLE | seen, Resources(nodes=2, gpus_per_node=0, **options))
    assert len(findings) == (words is not None)
    if words is not None:
        assert words in problem(findings)
        assert "ib0 (10.1.0.1)" in problem(findings)


def test_a_nodes_file_that_does_not_appear_here_is_a_problem():
    assert "does not appear here" in problem(judged(SEEN, ASKED, tracking="sqlite:////x", came_back=False))


def test_the_stores_password_is_neither_sent_nor_shown(tmp_path, sweep, monkeypatch):
    (tmp_path / "srun").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\nexit 1\n')
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for uri in ("http://me:geheim@server:5000", "postgresql://me:geheim@server/db?password=geheim"):
        findings = check_on_a_node(Resources(), folder=sweep, data=[], tracking=uri, code=ROOT)
        assert "did not run" in findings[0].sentence
        arguments = (tmp_path / "arguments").read_text()
        assert "server" in arguments
        assert "geheim" not in arguments
        shown = judged(SEEN | {"store": "refused"}, ASKED, tracking=uri, came_back=True)
        assert "server" in problem(shown)
        assert "geheim" not in problem(shown)


def test_the_task_requests_a_gpu_only_where_it_must(tmp_path, sweep, monkeypatch):
    (tmp_path / "srun").write_text(
        f'#!/bin/sh\necho "$*" | grep -o "gpus-per-node=[^ ]*" >> {tmp_path}/gpus && exit 1\n'
        "echo 'srun: error: you may not submit a job not requesting GPUs' >&2; exit 1\n"
    )
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    check_on_a_node(Resources(gpus_per_node="a100:4"), folder=sweep, data=[], tracking=None, code=ROOT)
    assert (tmp_path / "gpus").read_text() == "gpus-per-node=a100:1\n"


@pytest.mark.slurm
def test_setup_lines_run_on_the_node_and_one_that_fails_is_a_problem(slurm_cluster, sweep, store, tmp_path):
    (tmp_path / "site.sh").write_text("export SITE=loaded\n")
    fine = f"source {shlex.quote(str(tmp_path / 'site.sh'))}", '[ "$SITE" = loaded ]'
    asked = Resources(setup=fine)
    findings = check_on_a_node(asked, folder=sweep, data=[], tracking=store, code=ROOT)
    assert {finding.level for finding in findings} == {"ok"}
    asked = Resources(setup=(*fine, "module load cuda/99"))
    findings = check_on_a_node(asked, folder=sweep, data=[], tracking=store, code=ROOT)
    sentence = (
        r"on a node the setup line 'module load cuda/99' fails with status 127 \(module: command not found\)"
    )
    assert re.fullmatch(sentence, problem(findings))


@pytest.mark.slurm
def test_a_sweep_on_a_disk_that_nodes_do_not_see_is_a_problem(hidden, store):
    findings = check_on_a_node(Resources(), folder=hidden / "s", data=[], tracking=store, code=ROOT)
    assert "does not see the folder" in problem(findings)
    assert list((hidden / "s").iterdir()) == []


@pytest.mark.slurm
def test_data_code_and_store_on_a_disk_that_nodes_do_not_see_are_problems(hidden, sweep):
    for name in ("data", "code"):
        (hidden / name).mkdir()
    (hidden / "mlflow.db").touch()
    findings = check_on_a_node(
        Resources(),
        folder=sweep,
        data=[hidden / "data", hidden / "not prepared yet"],
        tracking=f"sqlite:///{hidden / 'mlflow.db'}",
        code=hidden / "code",
    )
    data, code, store = of_level("problem", findings)
    assert f"does not see the data in {hidden / 'data'}" in data
    assert f"does not see the code in {hidden / 'code'}" in code
    assert f"does not see the tracking store sqlite:///{hidden / 'mlflow.db'}: start 'mlflow server'" in store


@pytest.mark.slurm
def test_code_that_does_not_import_and_a_missing_python_are_problems(
    slurm_cluster, sweep, store, tmp_path, monkeypatch
):
    findings = check_on_a_node(Resources(), folder=sweep, data=[], tracking=store, code=tmp_path)
    assert f"data_prep is not found in {tmp_path}" in problem(findings)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    (finding,) = check_on_a_node(Resources(), folder=sweep, data=[], tracking=store, code=ROOT)
    assert finding.level == "problem"
    assert "does not have the Python that runs here, /nowhere/python" in finding.sentence


class Refusing(BaseHTTPRequestHandler):
    """A server that requires a password."""

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
def test_a_server_that_answers_is_reached_and_one_that_is_down_is_not(slurm_cluster, sweep):
    with server() as port:
        uris = [f"http://me:geheim@127.0.0.1:{port}", f"postgresql://me:geheim@127.0.0.1:{port}/mlflow"]
        for uri in uris:
            findings = check_on_a_node(Resources(), folder=sweep, data=[], tracking=uri, code=ROOT)
            assert of_level("problem", findings) == []
            assert "reaches the tracking store" in findings[-1].sentence
    for uri in uris:
        findings = check_on_a_node(Resources(), folder=sweep, data=[], tracking=uri, code=ROOT)
        assert "Connection refused" in problem(findings)
        assert "--host 0.0.0.0" in problem(findings)
        assert "geheim" not in problem(findings)


@pytest.mark.slurm
def test_without_a_free_node_the_check_warns_and_does_not_wait(slurm_cluster, sweep, store):
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
        deadline = time.monotonic() + 120
        while (
            "RUNNING"
            not in slurm_cluster.run(["squeue", "--noheader", "--format=%T", f"--jobs={job}"]).stdout
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (finding,) = check_on_a_node(Resources(), folder=sweep, data=[], tracking=store, code=ROOT, wait_s=2)
    finally:
        slurm_cluster.run(["scancel", job])
    assert finding.level == "warning"
    assert "no node was free within 2 s" in finding.sentence
    assert list(sweep.iterdir()) == []
