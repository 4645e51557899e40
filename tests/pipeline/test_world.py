from __future__ import annotations

import socket

import pytest

from data_prep.errors import LostRank
from pipeline.world import process_group, rendezvous_port


def test_each_start_of_a_job_has_its_own_rendezvous_port(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLURM_JOB_ID", "67043328")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    ports = [rendezvous_port()]
    for restart in range(1, 50):
        monkeypatch.setenv("SLURM_RESTART_COUNT", str(restart))
        ports.append(rendezvous_port())
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 32_768 for port in ports)  # the others are Linux's ephemeral range


def test_local_runs_within_one_job_have_their_own_rendezvous_ports(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    ports = set()
    for process in ("4711", "4712"):
        monkeypatch.setenv("SUBMITIT_LOCAL_JOB_ID", process)
        ports.add(rendezvous_port())
    assert len(ports) == 2


def test_a_port_in_use_is_reported_and_not_taken_for_a_lost_rank(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        placed = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        for name, value in placed.items():
            monkeypatch.setenv(name, value)
        with (
            pytest.raises(LostRank, match=f"port {port}, the rendezvous port"),
            process_group(2, "cpu"),
        ):
            pass
