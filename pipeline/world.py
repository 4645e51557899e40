"""Rank, world size, and the collectives between ranks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

from data_prep.counted import counted
from data_prep.errors import ConfigError, LostRank
from pipeline.node_name import check_node_name

MEETING_PORTS = range(20_000, 32_000)
SHORTEST_COLLECTIVE_TIMEOUT_S = 660.0
"""The first step may be slow; afterwards each rank's watchdog is faster, and shows where it hangs."""


BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""By the type of a rank's device. What hosts agree on goes through their memory, so that no host waits for its device."""


@dataclass(frozen=True, slots=True)
class World:
    """This process among the ranks of a run."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_rank_zero(self) -> bool:
        """Rank 0 writes checkpoints, metrics and everything else that is written once."""
        return self.rank == 0

    @property
    def is_joined(self) -> bool:
        """Whether there is a process group; a single rank needs none."""
        return dist.is_initialized()

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Sum over ranks, in place."""
        if self.is_joined:
            dist.all_reduce(values)
        return values

    def any_of(self, flags: Sequence[bool]) -> list[bool]:
        """For each flag, whether it is set on at least one rank: all ranks get the same answer."""
        if not self.is_joined:
            return list(flags)
        return self.all_reduce_sum(torch.tensor(flags, dtype=torch.float32)).bool().tolist()

    def gather(self, values: Tensor) -> Tensor:
        """The values of all ranks, on every rank: (rank, *shape)."""
        if not self.is_joined:
            return values.unsqueeze(0).clone()
        gathered = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(gathered, values)
        return torch.stack(gathered)

    def all_reduce_min(self, number: int) -> int:
        """The smallest of the ranks' numbers, on every rank."""
        return int(self.gather(torch.tensor([number])).min().item())

    def broadcast(self, number: int) -> int:
        """Rank 0's number, on every rank."""
        return int(self.gather(torch.tensor([number]))[0].item())

    def barrier(self) -> None:
        """Wait for all ranks, but not for their devices."""
        self.any_of([False])


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of this process according to the environment."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    on_this_node: int = 1


def ranks_from_environment() -> Ranks:
    """From torchrun's variables (which submitit's are exported as) or a SLURM step's; a single rank without either."""
    variables = os.environ
    if "RANK" in variables and "WORLD_SIZE" in variables:
        return Ranks(
            int(variables["RANK"]),
            int(variables["WORLD_SIZE"]),
            int(variables.get("LOCAL_RANK", "0")),
            int(variables.get("LOCAL_WORLD_SIZE", "1")),
        )
    # SLURM_NTASKS is also set in the batch script, which is one process.
    if "SLURM_STEP_NUM_TASKS" in variables and "SLURM_PROCID" in variables:
        size, nodes = int(variables["SLURM_STEP_NUM_TASKS"]), int(variables.get("SLURM_STEP_NUM_NODES", "1"))
        return Ranks(int(variables["SLURM_PROCID"]), size, int(variables["SLURM_LOCALID"]), size // nodes)
    return Ranks()


def _set_rendezvous() -> None:
    """Set MASTER_ADDR and MASTER_PORT from SLURM's variables, unless they are set."""
    if "MASTER_ADDR" in os.environ:
        return
    nodes = ["scontrol", "show", "hostnames", os.environ["SLURM_STEP_NODELIST"]]
    listed = subprocess.run(nodes, capture_output=True, text=True, check=True, timeout=60)
    os.environ["MASTER_ADDR"] = listed.stdout.split()[0]
    os.environ["MASTER_PORT"] = str(rendezvous_port())


def rendezvous_port() -> int:
    """Rendezvous port of the ranks of this start of a job, SLURM's or submitit's on this machine.

    Different for each start: an older copy that SLURM considers gone may still listen on its own, and ranks that connected
    there would join the old ones. All are below the ephemeral range (on Linux from 32768).
    """
    # submitit's first: several runs on this machine may be inside one SLURM job (``salloc``).
    job = int(os.environ.get("SUBMITIT_LOCAL_JOB_ID") or os.environ["SLURM_JOB_ID"])
    restart = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    return MEETING_PORTS[(job + 7_919 * restart) % len(MEETING_PORTS)]


def choose_device(wanted: str, local_rank: int) -> torch.device:
    """The device of this rank; ConfigError if a GPU is requested and there is none."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but torch finds no GPU here; use --device cpu or --device auto")
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", local_rank % torch.cuda.device_count())


@contextmanager
def process_group(ranks: int, device: str, hang_seconds: float = 600.0) -> Iterator[World]:
    """Join the process group of the run (gloo on CPUs, also nccl on GPUs), and leave it at the end.

    A rank that waits for the others for longer than ``hang_seconds`` and 11 minutes ends with an error.

    Raises:
        ConfigError: the environment has a different number of processes than the run's configuration, or ranks on other
            nodes cannot reach this one.
        LostRank: another rank was lost while the block ran.
    """
    placed = ranks_from_environment()
    if placed.size != ranks:
        raise ConfigError(
            f"the run is configured for {counted(ranks, 'rank')}, but"
            f" {counted(placed.size, 'process was', 'processes were')} started"
        )
    own_device = choose_device(device, placed.local_rank)
    if own_device.type == "cuda":
        torch.cuda.set_device(own_device)
    if placed.size == 1:
        yield World(rank=0, size=1, device=own_device)
        return
    _set_rendezvous()
    if own_device.type == "cpu" and placed.size > placed.on_this_node:
        check_node_name(os.environ["MASTER_ADDR"])
    try:
        dist.init_process_group(
            BACKENDS[own_device.type],
            rank=placed.rank,
            world_size=placed.size,
            timeout=timedelta(seconds=max(1.1 * hang_seconds, SHORTEST_COLLECTIVE_TIMEOUT_S)),
        )
        yield World(rank=placed.rank, size=placed.size, device=own_device)
    except RuntimeError as error:
        lost = lost_rank(error)
        if lost is None:
            raise
        raise lost from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def leave_at_once(status: int = 0) -> NoReturn:
    """End this process now, after everything is written.

    During interpreter shutdown a gloo thread may abort it with SIGABRT, upon which the launcher of the
    ranks ends the others, perhaps rank 0 during its last upload; or the shutdown may wait for that thread forever.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def lost_rank(error: BaseException) -> LostRank | None:
    """What a collective's error means if the other side is gone (gloo raises a plain RuntimeError); None for any other."""
    text = str(error)
    if not isinstance(error, dist.DistError) and not (
        isinstance(error, RuntimeError) and "gloo" in text and ("Connection" in text or "Timed out" in text)
    ):
        return None
    if "EADDRINUSE" in text:
        return LostRank(
            f"port {os.environ.get('MASTER_PORT')}, the rendezvous port, is in use by another process; a restart uses"
            " a different one"
        )
    return LostRank(
        "another rank of the run is gone (killed, out of memory, or its node lost); run again, it resumes"
        " from its newest checkpoint"
    )
