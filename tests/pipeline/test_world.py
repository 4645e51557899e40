from __future__ import annotations

import socket

import pytest

from data_prep.errors import LostRank
from pipeline.world import process_group, rendezvous_port


def test_each_start_of_a_job_meets_at_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLURM_JOB_ID", "67043328")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    ports = [rendezvous_port()]
    for restart in range(1, 50):
        monkeypatch.setenv("SLURM_RESTART_COUNT", str(restart))
        ports.append(rendezvous_port())
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 32_768 for port in ports)  # Linux hands out the others by itself


def test_local_runs_within_one_job_meet_at_ports_of_their_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    ports = set()
    for process in ("4711", "4712"):
        monkeypatch.setenv("SUBMITIT_LOCAL_JOB_ID", process)
        ports.add(rendezvous_port())
    assert len(ports) == 2


def test_a_port_that_is_anothers_is_told_and_no_rank_is_called_lost(monkeypatch: pytest.MonkeyPatch):
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
