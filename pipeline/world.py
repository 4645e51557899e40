"""Which of how many processes this one is, and what they say to each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from data_prep.errors import ConfigError

COLLECTIVE_TIMEOUT = timedelta(minutes=10)
"""A rank that waits longer than this for the others ends with an error."""


@dataclass(frozen=True, slots=True)
class World:
    """This process among the ranks of a run."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Rank 0 writes checkpoints, metrics and everything else that is written once."""
        return self.rank == 0

    def add_up(self, values: Tensor) -> Tensor:
        """Sum over ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on at least one rank: all ranks get the same answer."""
        if self.size == 1:
            return flag
        return bool(self.add_up(torch.tensor(float(flag), device=self.device)).item())

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.size > 1:
            dist.barrier()


def ranks_from_environment() -> tuple[int, int, int]:
    """(rank, world size, local rank) as torchrun, SLURM or submitit say; (0, 1, 0) where none does."""
    for rank, size, local in (
        ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
        ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
        ("SUBMITIT_LOCAL_GLOBALRANK", "SUBMITIT_LOCAL_NTASKS", "SUBMITIT_LOCAL_LOCALID"),
    ):
        if rank in os.environ and size in os.environ:
            return int(os.environ[rank]), int(os.environ[size]), int(os.environ.get(local, "0"))
    return 0, 1, 0


def ranks_on_this_node() -> int:
    """How many of the ranks run on this node, as torchrun, SLURM or submitit say; 1 where none does."""
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "SUBMITIT_LOCAL_NTASKS"):
        if name in os.environ:
            return int(os.environ[name])
    return 1


def choose_device(wanted: str, local_rank: int) -> torch.device:
    """The device of this rank; ConfigError where a GPU is asked for and there is none."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, and torch finds no GPU here; use --device cpu or --device auto")
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", local_rank % torch.cuda.device_count())


@contextmanager
def joined_world(ranks: int, device: str) -> Iterator[World]:
    """Join the other ranks of the run (gloo on CPUs, nccl on GPUs), and leave them at the end.

    ConfigError where the environment has another number of processes than the run's configuration.
    """
    rank, size, local_rank = ranks_from_environment()
    if size != ranks:
        raise ConfigError(f"the run is configured for {ranks} ranks, and {size} processes were started")
    own_device = choose_device(device, local_rank)
    if own_device.type == "cuda":
        torch.cuda.set_device(own_device)
    if size == 1:
        yield World(rank=0, size=1, device=own_device)
        return
    dist.init_process_group(
        "nccl" if own_device.type == "cuda" else "gloo", rank=rank, world_size=size, timeout=COLLECTIVE_TIMEOUT
    )
    try:
        yield World(rank=rank, size=size, device=own_device)
    finally:
        dist.destroy_process_group()
