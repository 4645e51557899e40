"""What a training step consists of, without a clock: ``python -m tests.benchmarks.sizes``.

Floating-point operations, operations (each a kernel to launch on a GPU), and the bytes of a gradient, which ranks exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tyro
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.registry import PRESETS
from pipeline.training.step import Step
from tests.benchmarks.steps import ALONE, FACES, Steps, random_batch

_VIEWS = (
    "view", "reshape", "expand", "permute", "transpose", "slice", "select", "unsqueeze", "squeeze", "detach", "alias", "t.",
)  # fmt: skip


@dataclass
class Sizes:
    """Count what a step of each preset does, for 64 x 64 in colour and 18 binary labels."""

    systems: tuple[str, ...] = ("ccvae-celeba", "m2-celeba", "diva_original")
    """presets"""
    batch_size: int = 200
    """rows of a batch"""


class _Operations(TorchDispatchMode):
    """Counts what reaches the device, views left out."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removeprefix("aten.")
        self.count += not name.startswith(_VIEWS)
        return func(*args, **(kwargs or {}))


def main() -> None:
    """Print a line for each system."""
    asked = tyro.cli(Sizes, prog="python -m tests.benchmarks.sizes")
    batch = random_batch(Steps(batch_size=asked.batch_size))
    for name in asked.systems:
        config = RunConfig(data=DataConfig(supervision_rate=0.2), model=PRESETS[name].config())
        step = Step(config, FACES, ALONE)
        step.warm_up(batch)
        with FlopCounterMode(display=False) as flops, _Operations() as operations:
            step(batch, 0, asked.batch_size)
        gradient = sum(parameter.numel() for parameter in step.model.parameters()) * 4 / 1e6
        print(
            f"{name}: {flops.get_total_flops() / 1e9:.1f} GFLOP and {operations.count} operations per step of"
            f" {asked.batch_size}; gradient {gradient:.2f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
