"""The parts of a cluster, and their locations in its folder."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import secrets
import socket
from pathlib import Path
from typing import Self

from data_prep.errors import LaunchError

CORES_PER_NODE = 4
GPUS_PER_NODE = 2
MEMORY_PER_NODE_MB = 16_000
"""Emulated: SLURM counts it and nothing enforces it."""

# SLURM reads only these characters literally (space, %, #, [, comma and = mean something in its files);
# a UNIX socket's path holds 107 bytes, and that of a step (state/n500/n500_67108863.4294967291) adds 36.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/+-]{1,70}")

# Below the ports that submitit picks a rendezvous from (20000-60000), and below the kernel's ephemeral range.
_PORTS = range(10_000, 20_000)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """One cluster: its size, its ports, its folder. Stored in ``cluster.json`` so that another process finds it."""

    folder: Path
    nodes: int
    accounting: bool
    first_port: int
    """First of ``2 + nodes`` ports in a row: slurmctld, slurmdbd, then one slurmd each."""
    token: str
    """In the name of the hosts file, which is mounted in the namespace of each of the cluster's processes and of
    no other: that is how they are found again."""

    @classmethod
    def new(cls, folder: Path, *, nodes: int, accounting: bool) -> Self:
        """A cluster that does not exist yet, on ports that are free now.

        Raises:
            LaunchError: no ports are free.
        """
        return cls(
            folder=folder,
            nodes=nodes,
            accounting=accounting,
            first_port=_free_ports(2 + nodes),
            token=secrets.token_hex(8),
        )

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The cluster that was started in this folder, or None when there is none."""
        try:
            fields = json.loads((folder / "cluster.json").read_text())
            return cls(folder=folder, **fields)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError) as error:
            raise LaunchError(
                f"{folder / 'cluster.json'} is damaged ({error}); remove the folder by hand"
            ) from None

    def save(self) -> None:
        fields = dataclasses.asdict(self)
        del fields["folder"]
        (self.folder / "cluster.json").write_text(json.dumps(fields) + "\n")

    @property
    def node_names(self) -> list[str]:
        return [f"n{number}" for number in range(1, self.nodes + 1)]

    @property
    def controller_port(self) -> int:
        return self.first_port

    @property
    def accounting_port(self) -> int:
        return self.first_port + 1

    @property
    def conf(self) -> Path:
        """What ``SLURM_CONF`` has to name."""
        return self.folder / "slurm.conf"

    @property
    def accounting_conf(self) -> Path:
        return self.folder / "slurmdbd.conf"

    @property
    def hosts(self) -> Path:
        return self.folder / f"hosts.{self.token}"

    @property
    def task_prolog(self) -> Path:
        return self.folder / "task_prolog"

    @property
    def devices(self) -> Path:
        return self.folder / "dev"

    @property
    def state(self) -> Path:
        """State, spool and pid files of all daemons."""
        return self.folder / "state"

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def munge_socket(self) -> Path:
        return self.folder / "munge.sock"

    @property
    def munge_key(self) -> Path:
        return self.folder / "munge.key"

    @property
    def database(self) -> Path:
        return self.folder / "mariadb"

    @property
    def database_socket(self) -> Path:
        return self.folder / "mariadb.sock"

    @property
    def ready(self) -> Path:
        """Written last: without it, the start was cut short."""
        return self.folder / "READY"


def check_folder(folder: Path) -> None:
    """Refuse a folder whose absolute path SLURM's files cannot hold.

    Raises:
        LaunchError: it has a space or another special character, or is too long.
    """
    if not _PLAIN_PATH.fullmatch(str(folder)):
        raise LaunchError(
            f"SLURM cannot keep its files in {str(folder)!r}: choose a folder whose absolute path has at most"
            " 70 characters, all of them letters, digits or one of . _ / + -"
        )


def _free_ports(count: int) -> int:
    """The first of ``count`` consecutive free ports, at a random position so that two starts rarely collide."""
    for _ in range(200):
        first = random.SystemRandom().randrange(_PORTS.start, _PORTS.stop - count)
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise LaunchError(
        f"no {count} free ports in a row between {_PORTS.start} and {_PORTS.stop} on this machine"
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
