"""Images/s of a training step with each family of networks at each size: ``python -m tests.benchmarks networks``.

The measure is the bare step of the same networks: encoder, decoder, the density of pixels and Adam, nothing else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import tyro
from rich.console import Console
from rich.table import Column, Table

from data_prep.counted import counted
from data_prep.errors import report_user_errors
from pipeline.models.ccvae import CCVAEConfig
from pipeline.networks.choice import LARGEST_SIDE_FOR_MLP, networks_for
from pipeline.networks.convolutional import SIZES
from tests.benchmarks.clock import rates
from tests.benchmarks.steps import FACES, PAPER, Steps, Variant, bare_step, random_batch, system_step


@dataclass(frozen=True, kw_only=True)
class NetworkSpeed:
    """Measure the training step of ccvae-celeba, in colour with 18 binary labels, with each family at each size."""

    families: tuple[str, ...] = ("mlp", "convolutional", "pixel_norm")
    """families of networks, MLPs only up to 32 x 32"""
    sides: tuple[int, ...] = SIZES
    """heights and widths of the images"""
    threads: int = 1
    """threads of torch"""
    clock: Literal["wall", "processor"] = "wall"
    """wall time, or CPU time of this process: better for one thread on a shared machine"""
    batch_size: int = 32
    """rows of a batch"""
    steps: int = 2
    """training steps per measurement"""
    rounds: int = 3
    """measurements of each contender, in turn"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    with report_user_errors():
        measure_networks(
            tyro.cli(NetworkSpeed, args=arguments, prog="python -m tests.benchmarks networks", config=())
        )


def measure_networks(asked: NetworkSpeed) -> None:
    """Measure each family at each size in turn, next to its bare step, and print a table."""
    right = [
        Column(name, justify="right") for name in ("pixels", "bare, images/s", PAPER, "ratio", "parameters")
    ]
    table = Table(
        "network", *right, title=f"A training step, {counted(asked.threads, 'thread')}", title_justify="left"
    )
    before = torch.get_num_threads()
    torch.set_num_threads(asked.threads)
    try:
        for name in asked.families:
            for side in asked.sides:
                if name != "mlp" or side <= LARGEST_SIDE_FOR_MLP:
                    table.add_row(name, f"{side} x {side}", *_row(name, side, asked))
    finally:
        torch.set_num_threads(before)
    Console(width=110).print(table)


def _row(name: str, side: int, asked: NetworkSpeed) -> tuple[str, str, str, str]:
    data = replace(FACES, image_shape=(3, side, side))
    batch = random_batch(Steps(batch_size=asked.batch_size), data)
    family = networks_for(name, data.image_shape, width=CCVAEConfig().hidden_width, system=PAPER)
    measured = rates(
        {
            "bare": bare_step(batch, Variant(), asked.steps, family),
            PAPER: system_step(PAPER, batch, Variant(), asked.steps, data, network=name),
        },
        asked.rounds,
        time.perf_counter if asked.clock == "wall" else time.process_time,
    )
    bare, system = measured.values()
    ratio = statistics.median(one / other for one, other in zip(system, bare, strict=True))
    count = sum(
        each.numel() for network in (family.encoder(90), family.decoder(45)) for each in network.parameters()
    )
    return (
        f"{statistics.median(bare):,.0f}",
        f"{statistics.median(system):,.0f}",
        f"{ratio:.2f}",
        f"{count / 1e6:.2f} M",
    )


if __name__ == "__main__":
    main()
