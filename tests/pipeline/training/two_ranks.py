"""One step of a run on several ranks in separate processes, without noise."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import torch
from torch.multiprocessing.spawn import start_processes

from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.models.interface import DataSpec
from pipeline.training.step import Step
from pipeline.world import leave_at_once, process_group


def gradients_of_first_step(config: RunConfig, folder: Path) -> dict[str, torch.Tensor]:
    """Gradients on rank 0 after the first step, by parameter; every sample is its mean."""
    ranks, result = config.training.ranks, folder / f"gradients-{config.training.ranks}.pt"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start_processes(_step_of_rank, (config, port, result), nprocs=ranks, start_method="spawn")
    return torch.load(result, weights_only=True)


def _step_of_rank(rank: int, config: RunConfig, port: int, result: Path) -> None:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(config.training.ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    setattr(torch, "randn", torch.zeros)  # noqa: B010  (every sample is its mean, no label is hidden)
    setattr(torch, "randn_like", torch.zeros_like)  # noqa: B010
    setattr(torch, "rand", torch.ones)  # noqa: B010
    data = DataSet(Path(config.data.folder))
    with process_group(config.training.ranks, "cpu") as world:
        step, examples = (
            Step(config, DataSpec.of(data.manifest), world),
            TrainingExamples(config, data, world),
        )
        step.warm_up(examples.first())
        batch, batch_size = next(examples.epoch(0))
        step(batch, 0, batch_size)
        if world.is_rank_zero:
            torch.save({name: value.grad for name, value in step.model.named_parameters()}, result)
    leave_at_once()
