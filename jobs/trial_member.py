"""Steps of one cell for ``jobs.trial``: ``python -m jobs.trial_member CONFIG STEPS SECONDS``; nothing is written.

It prints a line when it is ready, waits for one, and prints the number of images of the steps that it then made.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from jobs.unit import limit_threads, open_data, share_the_gpu
from pipeline.cell import Cell
from pipeline.data.examples import TrainingExamples
from pipeline.models.interface import DataSpec, KeepsExamples
from pipeline.training.memory import keep_freed_memory
from pipeline.training.step import Step
from pipeline.world import World, choose_device

_STEPS_FIRST = 5
"""Steps before those that count: memory, caches and clocks settle."""


def main() -> None:
    """Command line."""
    config_file, steps, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    cell = Cell.open(config_file)
    limit_threads()
    keep_freed_memory()
    data = open_data(cell)
    world = World(rank=0, size=1, device=choose_device(cell.config.training.device, local_rank=0))
    share_the_gpu(world.device)
    step, examples = (
        Step(cell.config, DataSpec.of(data.manifest), world),
        TrainingExamples(cell.config, data, world),
    )
    try:
        if isinstance(step.model, KeepsExamples):
            step.model.keep_examples(examples.of_each_class())
        step.warm_up(examples.first())
        last = cell.config.last_step(examples.rows, examples.references)
        epochs = cell.config.training.epochs
        step.begin_epoch(epochs - 1, last // epochs)
        _steps(step, examples, _STEPS_FIRST, seconds, last)
        print("ready", flush=True)
        sys.stdin.readline()
        print(_steps(step, examples, steps, seconds, last), flush=True)
    finally:
        examples.close()


def _steps(step: Step, examples: TrainingExamples, steps: int, seconds: float, last: int) -> int:
    """Make so many steps, or fewer if they take longer; returns the number of images.

    Each is made as the run's last one, since some terms only begin during a run.
    """
    began, number, images = time.monotonic(), 0, 0
    epoch = 0
    while number < steps:
        for batch, size in examples.epoch(epoch):
            terms = step(batch, last - 1, size)
            number, images = number + 1, images + size
            if number == steps or time.monotonic() - began > seconds:
                terms.sum().item()  # waits for the device
                return images
        epoch += 1
    return images


if __name__ == "__main__":
    main()
