from __future__ import annotations

import pytest

from pipeline.world import meeting_port


def test_each_start_of_a_job_meets_at_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLURM_JOB_ID", "67043328")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    ports = [meeting_port()]
    for restart in range(1, 50):
        monkeypatch.setenv("SLURM_RESTART_COUNT", str(restart))
        ports.append(meeting_port())
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 60_000 for port in ports)
