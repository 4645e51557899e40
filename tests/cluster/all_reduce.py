"""The computation of a job in the cluster's tests. A separate module, because nodes import it by name."""

from __future__ import annotations

import socket

import submitit.helpers
import torch
import torch.distributed as dist


def sum_over_ranks() -> tuple[str, int, float]:
    """All-reduce with the other tasks of this job over gloo; returns host, rank, and the sum of (rank + 1)."""
    submitit.helpers.TorchDistributedEnvironment().export()
    dist.init_process_group("gloo")
    try:
        rank = dist.get_rank()
        total = torch.tensor([rank + 1.0])
        dist.all_reduce(total)
        return socket.gethostname(), rank, float(total)
    finally:
        dist.destroy_process_group()
