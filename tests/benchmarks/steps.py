"""Images/s of a full training step, 64 x 64 in colour with 18 binary labels: ``python -m tests.benchmarks steps``.

The measure is the bare step: the encoder and decoder of ``ccvae-celeba``, the density of pixels and Adam, nothing else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, get_args

import torch
import tyro
from rich.console import Console
from rich.table import Column, Table
from torch import nn
from torch.profiler import ProfilerActivity, profile

from data_prep.counted import counted
from data_prep.errors import ConfigError, report_user_errors
from pipeline.cells.record import DRAW_REFERENCES
from pipeline.config import RunConfig
from pipeline.data.batch import Batch
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.interface import DataSpec, to_pixels
from pipeline.models.parts.densities import laplace_log_density
from pipeline.models.registry import PRESETS
from pipeline.networks.choice import networks_for
from pipeline.networks.convolutional import Convolutional
from pipeline.networks.families import Networks
from pipeline.training.memory import keep_freed_memory
from pipeline.training.settings import TrainingConfig
from pipeline.training.step import Step
from pipeline.world import World
from tests.benchmarks.clock import rates, show

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
LABELS = 18
FACES = DataSpec(
    image_shape=(3, 64, 64),
    cardinalities=(2,) * LABELS,
    label_frequencies=((0.7, 0.3),) * LABELS,
    training_rows=160_000,
)
PAPER = "ccvae-celeba"
BARE = "encoder + decoder + Adam"
Work = Callable[[], int]
LATE_EPOCH, LATE_STEP = 50, 10_000
"""Where all terms of every preset have begun."""
Precision = Literal["float32", "bfloat16"]


_FAMILIES = {
    "convolutions": ("conv", "mkldnn"),
    "ReLU": ("clamp_min", "threshold", "relu"),
    "copies": ("copy_", "clone", "contiguous"),
    "Adam": ("adam",),
    "linear layers": ("addmm", "aten::mm", "linear"),
}


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Measure the training step of each system that takes 18 binary labels, and of one in each variant."""

    systems: tuple[str, ...] = ()
    """presets (default: all)"""
    threads: tuple[int, ...] = (1,)
    """threads of torch, one table for each"""
    precision: Precision = "float32"
    """of each system's step"""
    network: Literal["mlp", "convolutional", "pixel_norm"] | None = None
    """networks of every step (default: each preset's own, and convolutional for the bare step)"""
    variants: bool = False
    """also measure each combination of precision and memory format, for ccvae-celeba"""
    compiled: bool = False
    """the variants compiled, too: minutes"""
    give_memory_back: bool = False
    """let the C library return freed memory to the system, unlike jobs (`pipeline/training/memory.py`)"""
    profile: bool = False
    """also profile a step of ccvae-celeba"""
    clock: Literal["wall", "processor"] = "wall"
    """wall time, or CPU time of this process: better for one thread on a shared machine"""
    batch_size: int = 200
    """rows of a batch"""
    supervision_rate: float = 0.2
    """share of them that have labels"""
    steps: int = 2
    """training steps per measurement"""
    rounds: int = 5
    """measurements of each contender, in turn"""


@dataclass(frozen=True, slots=True)
class Variant:
    """How a step is computed."""

    compiled: bool = False
    precision: Precision = "float32"
    channels_last: bool = False

    def __str__(self) -> str:
        form = "channels-last" if self.channels_last else "contiguous"
        return f"{'compiled' if self.compiled else 'eager'}, {self.precision}, {form}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the requested tables."""
    with report_user_errors():
        asked = tyro.cli(
            Steps,
            args=arguments,
            prog="python -m tests.benchmarks steps",
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        measure_steps(asked)


def measure_steps(asked: Steps) -> None:
    """Measure, and print a table for each number of threads, then the variants and the profile."""
    if not asked.give_memory_back:
        keep_freed_memory()
    batch = random_batch(asked)
    before = torch.get_num_threads()
    each = Variant(precision=asked.precision)
    clock = time.perf_counter if asked.clock == "wall" else time.process_time
    try:
        for threads in asked.threads:
            torch.set_num_threads(threads)
            family = None if asked.network is None else networks_named(asked.network)
            contenders = {BARE: bare_step(batch, each, asked.steps, family)}
            options: dict[str, Any] = {} if asked.network is None else {"network": asked.network}
            for name in asked.systems or PRESETS:
                try:
                    contenders[name] = system_step(name, batch, each, asked.steps, **options)
                except ConfigError as error:
                    print(f"{name} is left out: {error}")
            title = f"A training step of each system, {counted(threads, 'thread')}, {each}"
            show(title, rates(contenders, asked.rounds, clock), "images")
        if asked.variants:
            for variant in variants(compiled=asked.compiled):
                pair = {
                    BARE: bare_step(batch, variant, asked.steps),
                    PAPER: system_step(PAPER, batch, variant, asked.steps),
                }
                show(f"{counted(threads, 'thread')}, {variant}", rates(pair, asked.rounds, clock), "images")
        if asked.profile:
            Console(width=110).print(profile_of(batch))
    finally:
        torch.set_num_threads(before)


def networks_named(name: str) -> Networks:
    """The family of this name, for faces."""
    return networks_for(name, FACES.image_shape, width=CCVAEConfig().hidden_width, system=BARE)


def variants(*, compiled: bool) -> list[Variant]:
    """All variants of computing a step."""
    precisions: tuple[Precision, ...] = get_args(Precision)
    choices = product((False, True) if compiled else (False,), precisions, (False, True))
    return [Variant(*choice) for choice in choices]


def random_batch(asked: Steps, data: DataSpec = FACES) -> Batch:
    """Noise with labels, some rows having all of theirs."""
    rows, labelled = asked.batch_size, round(asked.batch_size * asked.supervision_rate)
    generator = torch.Generator().manual_seed(0)
    return Batch(
        image=torch.randint(0, 256, (rows, *data.image_shape), dtype=torch.uint8, generator=generator),
        labels=torch.randint(0, 2, (rows, LABELS), dtype=torch.uint8, generator=generator),
        observed=(torch.arange(rows) < labelled)[:, None].repeat(1, LABELS),
        labelled=labelled,
    )


def system_step(
    preset: str, batch: Batch, variant: Variant, steps: int, data: DataSpec = FACES, **options: Any
) -> Work:
    """Training steps of a system, with these options of its own; ConfigError if it does not support such data.

    Half of the rows are references if it learns from a reference set.
    """
    if PRESETS[preset].config().system in DRAW_REFERENCES:
        batch = replace(batch, references=len(batch) // 2)
    config = RunConfig(
        model=replace(PRESETS[preset].config(), **options),
        training=TrainingConfig(precision=variant.precision, compile=variant.compiled),
    )
    step = Step(config, data, ALONE)
    if variant.channels_last:
        step.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    step.warm_up(batch)
    step.begin_epoch(LATE_EPOCH)

    def work() -> int:
        for number in range(steps):
            step(batch, LATE_STEP + number, len(batch))
        return steps * len(batch)

    return work


def bare_step(batch: Batch, variant: Variant, steps: int, family: Networks | None = None) -> Work:
    """The same networks and optimiser as CCVAE's, with nothing of its objective but the reconstruction."""
    latents = LABELS + CCVAEConfig.celeba().style_size
    family = family or Convolutional(FACES.image_shape)
    networks = nn.ModuleList([family.encoder(2 * latents), family.decoder(latents)])
    encoder, decoder = networks
    if variant.channels_last:
        networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(networks.parameters(), lr=2e-4, fused=True)

    def objective() -> torch.Tensor:
        pixels = to_pixels(batch.image)
        return laplace_log_density(pixels, decoder(encoder(pixels)[:, :latents])).mean()

    computed = torch.compile(objective) if variant.compiled else objective

    def work() -> int:
        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=variant.precision == "bfloat16"):
                loss = -computed()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        return steps * len(batch)

    return work


def profile_of(batch: Batch) -> Table:
    """Profile of a step of CCVAE: shares of CPU time by family of operations."""
    work = system_step(PAPER, batch, Variant(), steps=2)
    work()
    with profile(activities=[ProfilerActivity.CPU]) as record:
        work()
    spent: Counter[str] = Counter()
    for event in record.key_averages():
        spent[_family(event.key)] += event.self_cpu_time_total
    table = Table("operations", Column("share", justify="right"), title=f"A step of {PAPER}")
    for family, time_ in spent.most_common():
        table.add_row(family, f"{time_ / spent.total():.1%}")
    return table


def _family(operation: str) -> str:
    known = (name for name, parts in _FAMILIES.items() if any(part in operation.lower() for part in parts))
    return next(known, "everything else: latents, labels, pixels")


if __name__ == "__main__":
    main()
