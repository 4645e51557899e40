"""What ``python -m tests.benchmarks gpu`` measures, each part in a process of its own: a line of JSON per number.

``python -m tests.benchmarks.gpu_parts {speed,epochs,packed,profile} --help``. They also run on a CPU, to be tested.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
import tyro
from torch.profiler import ProfilerActivity, profile

from data_prep.errors import ConfigError
from pipeline.config import RunConfig
from pipeline.data.batch import Batch
from pipeline.data.examples import TrainingExamples
from pipeline.data.settings import DataConfig
from pipeline.models.interface import DataSpec
from pipeline.models.registry import PRESETS
from pipeline.training.loop import train
from pipeline.training.settings import TrainingConfig
from pipeline.training.step import Step
from pipeline.world import World, choose_device
from tests.benchmarks.faces_in_memory import CELEBA_ROWS, FacesInMemory
from tests.benchmarks.steps import FACES, Steps, random_batch

RATE = 0.2
"""Supervision rate of all measurements."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What every part is told."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where"""
    systems: tuple[str, ...] = ("ccvae-celeba",)
    """presets"""
    variants: tuple[str, ...] = ("eager", "graphs")
    """how steps are computed: words joined by +, of eager, compiled, graphs, float32, channels-last, any-kernels
    (cuDNN's fastest, which may not repeat their bits)"""
    batch_size: int = 200
    """rows of a batch"""
    rows: int = CELEBA_ROWS
    """pictures of an epoch"""
    epochs: int = 5
    """epochs to train"""
    seconds: float = 2.0
    """of each measurement"""
    go: Path | None = None
    """of a packed process: it writes `<go>.<its number>` when it is ready, and begins when this file is there"""
    number: int = 0
    """of a packed process"""


def run_of(system: str, variant: str, asked: Part) -> RunConfig:
    """The run that a variant stands for."""
    words = variant.split("+")
    return RunConfig(
        data=DataConfig(supervision_rate=RATE, loader="resident"),
        model=PRESETS[system].config(),
        training=TrainingConfig(
            precision="float32" if "float32" in words else "auto",
            compile="compiled" in words,
            cuda_graphs="graphs" in words,
            batch_size=asked.batch_size,
            epochs=asked.epochs,
        ),
    )


def say(**values: Any) -> None:
    """A line of JSON."""
    print(json.dumps(values), flush=True)


def world_of(asked: Part) -> World:
    """One rank."""
    device = choose_device(asked.device, 0)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return World(rank=0, size=1, device=device)


def finish(world: World) -> None:
    """Wait for the device."""
    if world.device.type == "cuda":
        torch.cuda.synchronize()


def ready_step(system: str, variant: str, asked: Part, world: World) -> tuple[Step, Batch]:
    """A step after its first, with a batch on the device."""
    step = Step(run_of(system, variant, asked), FACES, world)
    if "channels-last" in variant.split("+"):
        step.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # A step allows repeatable kernels only.
    torch.backends.cudnn.deterministic = "any-kernels" not in variant.split("+")
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.deterministic
    here = random_batch(Steps(batch_size=asked.batch_size, supervision_rate=RATE))
    batch = Batch(
        image=here.image.to(world.device),
        labels=here.labels.to(world.device),
        observed=here.observed.to(world.device),
        labelled=here.labelled,
    )
    step.warm_up(batch)
    for number in range(5):
        step(batch, number, asked.batch_size)
    finish(world)
    return step, batch


def speed(asked: Part) -> None:
    """Images/s of the bare step of each system in each variant, on one batch that is on the device."""
    world = world_of(asked)
    for system, variant in product(asked.systems, asked.variants):
        began = time.perf_counter()
        try:
            step, batch = ready_step(system, variant, asked, world)
        except ConfigError as error:
            say(part="speed", system=system, variant=variant, refused=str(error))
            continue
        ready_after = time.perf_counter() - began
        rate, done = per_second(lambda n: step(batch, n, asked.batch_size), asked.seconds, world)  # noqa: B023
        on_gpu = torch.cuda.max_memory_allocated() / 2**20 if world.device.type == "cuda" else None
        say(
            part="speed", system=system, variant=variant, images_per_second=rate * asked.batch_size,
            ms_per_step=1000 / rate, steps=done, seconds_to_start=ready_after, precision=step.precision,
            peak_MiB=on_gpu,
        )  # fmt: skip
        del step, batch
        if world.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def per_second(work: Callable[[int], object], seconds: float, world: World) -> tuple[float, int]:
    """How often it is done per second, and how often it was; the device is waited for every 50 times."""
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(50 if world.device.type == "cuda" else 1):
            work(done)
            done += 1
        finish(world)
    return done / (time.perf_counter() - began), done


def epochs(asked: Part) -> None:
    """Seconds per epoch of the real loop, records and checkpoints included, and what 100 epochs would take."""
    world, data = world_of(asked), FacesInMemory(asked.rows)
    for system, variant in product(asked.systems, asked.variants):
        ended: list[float] = []
        speeds: list[float] = []

        def record(kind: str, step: int, metrics: dict[str, float]) -> None:
            if kind == "epoch":
                ended.append(time.perf_counter())  # noqa: B023
                speeds.append(metrics["images_per_second"])  # noqa: B023

        with TemporaryDirectory() as folder:
            began = time.perf_counter()
            train(run_of(system, variant, asked), Path(folder), data, world, record)
            whole = time.perf_counter() - began
        # From record to record: an epoch with its order of rows, its records and the checkpoint before it.
        later = [after - before for before, after in pairwise(ended)]
        each = sorted(later)[len(later) // 2] if later else whole
        say(
            part="epochs", system=system, variant=variant, rows=asked.rows, batch_size=asked.batch_size,
            seconds_per_epoch=each, images_per_second=asked.rows / each, of_steps_alone=max(speeds),
            seconds_to_first_record=ended[0] - began, hundred_epochs_s=ended[0] - began + 99 * each,
        )  # fmt: skip


def packed(asked: Part) -> None:
    """Images of one of several processes that train next to each other, between two moments that all share."""
    (system,), (variant,), world = asked.systems, asked.variants, world_of(asked)
    data, config = FacesInMemory(asked.rows), run_of(system, variant, asked)
    step, examples = Step(config, DataSpec.of(data.manifest), world), TrainingExamples(config, data, world)
    step.warm_up(examples.first())
    sums = torch.zeros(len(step.term_names), 2, device=world.device)
    number = 0
    for batch, size in examples.epoch(0):  # every shape of a batch once
        sums += step(batch, number, size)
        number += 1
    finish(world)
    if asked.go is not None:
        asked.go.with_suffix(f".{asked.number}").touch()
        deadline = time.monotonic() + 300
        while not asked.go.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
    began, images, epoch = time.time(), 0, 0
    while time.time() - began < asked.seconds:
        epoch += 1
        for batch, size in examples.epoch(epoch):
            sums += step(batch, number, size)
            number, images = number + 1, images + size
            if number % 50 == 0:
                finish(world)
                if time.time() - began >= asked.seconds:
                    break
    finish(world)
    say(part="packed", number=asked.number, images=images, seconds=time.time() - began)


def profiled(asked: Part) -> None:
    """Where the device's time goes in a step: kernels, their number, and how long the device was busy."""
    world = world_of(asked)
    for system, variant in product(asked.systems, asked.variants):
        step, batch = ready_step(system, variant, asked, world)
        on_gpu = world.device.type == "cuda"
        activities = [ProfilerActivity.CUDA] if on_gpu else [ProfilerActivity.CPU]
        repeats = 10
        with profile(activities=activities) as record:
            began = time.perf_counter()
            for number in range(repeats):
                step(batch, number, asked.batch_size)
            finish(world)
            seconds = time.perf_counter() - began
        events = record.key_averages()
        spent = {
            event.key: (event.self_device_time_total if on_gpu else event.self_cpu_time_total, event.count)
            for event in events
        }
        longest = sorted(spent.items(), key=lambda item: -item[1][0])[:15]
        say(
            part="profile", system=system, variant=variant,
            busy_ms_per_step=sum(time_ for time_, _ in spent.values()) / repeats / 1000,
            kernels_per_step=sum(count for _, count in spent.values()) / repeats,
            ms_per_step_while_profiled=1000 * seconds / repeats,
            longest=[[name[:90], time_ / repeats / 1000, count / repeats] for name, (time_, count) in longest],
        )  # fmt: skip


PARTS: dict[str, Callable[[Part], None]] = {
    "speed": speed, "epochs": epochs, "packed": packed, "profile": profiled,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """One part."""
    name, *rest = arguments
    asked = tyro.cli(Part, args=rest, prog=f"python -m tests.benchmarks.gpu_parts {name}")
    PARTS[name](asked)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
