from __future__ import annotations

import socket
from contextlib import nullcontext

import pytest

from data_prep.errors import ConfigError, LostRank
from pipeline.node_name import check_node_name
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


@pytest.mark.parametrize(
    ("own", "master", "interface", "refused"),
    [
        ("127.0.1.1", "10.77.0.1", None, True),
        ("127.0.1.1", "10.77.0.1", "eth9", False),
        ("127.0.1.1", "127.0.0.1", None, False),  # nodes emulated on one machine
        ("10.77.0.2", "10.77.0.1", None, False),
    ],
)
def test_a_node_that_knows_itself_as_loopback_is_named_with_the_way_on(
    monkeypatch: pytest.MonkeyPatch, own: str, master: str, interface: str | None, refused: bool
):
    """As in Debian's ``/etc/hosts``: the ranks of other nodes would wait, and end as if one was lost."""
    addresses = {"nodea": master, socket.gethostname(): own}
    monkeypatch.setattr(socket, "gethostbyname", addresses.__getitem__)
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    if interface is not None:
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", interface)
    with pytest.raises(ConfigError) if refused else nullcontext() as caught:
        check_node_name("nodea")
    if caught is not None:
        sentence = str(caught.value)
        assert f"node {socket.gethostname()} knows itself as 127.0.1.1" in sentence
        assert all(
            name in sentence for name in ("network_interface", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
        )


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
