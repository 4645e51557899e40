"""Losses and gradients of every system from one batch on two ranks, and from the batch in one process: one start for all."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import start_processes
from torch.nn.parallel import DistributedDataParallel

from pipeline.data.batch import Batch
from pipeline.world import leave_at_once
from tests.pipeline.models.every_system import CASES, batch_of, take_noise_out

CUT = 3
"""Rows of the first rank; none of the others is labelled."""
ROWS = 5


def gradients_of_every_system(folder: Path) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """For each case the gradient on two ranks and in one process, by parameter, and the loss as ``loss``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start_processes(_rank, (port, folder / "gradients.pt"), nprocs=2, start_method="spawn")
    return torch.load(folder / "gradients.pt", weights_only=True)


def _rank(rank: int, port: int, result: Path) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    take_noise_out(setattr)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    found = {}
    for case in CASES:
        model = case.build(network="mlp", consistency_change="another_row")
        whole = batch_of(case.shape, 2, ROWS)
        own = slice(0, CUT) if rank == 0 else slice(CUT, ROWS)
        share = Batch(
            image=whole.image[own],
            labels=whole.labels[own],
            observed=whole.observed[own],
            labelled=2 if rank == 0 else 0,
            rows_of_ranks=(CUT, ROWS - CUT),
            references=2 if rank == 0 else 0,
        )
        together = DistributedDataParallel(model, broadcast_buffers=False)
        for _ in range(2):  # a parameter without a gradient would show in the second pass
            shared = gradient(model, together, share, ranks=2)
        found[str(case)] = (
            shared,
            gradient(model, model, whole, ranks=1),
        )  # on both: batch norm sums over ranks
    if rank == 0:
        torch.save(found, result)
    dist.destroy_process_group()
    leave_at_once()


def gradient(model: nn.Module, forward: nn.Module, batch: Batch, ranks: int) -> dict[str, Tensor]:
    """As ``Step`` has it: of the mean over the whole batch, whoever holds it."""
    model.zero_grad()
    loss = -forward(batch).total_objective.sum() * (ranks / ROWS)
    loss.backward()
    mean = loss.detach()
    dist.all_reduce(mean)
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}  # type: ignore[union-attr]
    return found | {"loss": mean / 2}
