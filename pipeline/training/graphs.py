"""Whole steps as CUDA graphs: what a step launches is recorded once for each shape of a batch, and replayed as one launch.

A replay reads and writes the memory of the recording, so batches are copied into buffers of their own. It draws new random
numbers: torch gives each replay the seed and offset of the device's generator, so that they are those of the same step
without a graph. What the host computes is not repeated: learning rates are numbers of a recording, so another rate needs
new recordings (``CapturedSteps.forget``), and a model's schedule must write into its buffers (``HasSchedule``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.training.settings import TrainingConfig
from pipeline.world import World

log = logging.getLogger(__name__)

MOST_SHAPES = 16
"""Recordings kept: the batches of an epoch have a few shapes, but a supervision schedule has others in later epochs."""
REHEARSALS = 3
"""Passes before a recording, in which libraries make their plans and torch.compile its code."""

Record = Callable[[Callable[[], None], Callable[[], Tensor]], Callable[[], Tensor]]
"""``record(rehearse, work)``: a function that repeats on the device what ``work`` did there, and returns its result."""


def uses_graphs(training: TrainingConfig, world: World) -> bool:
    """Whether steps are captured; if they are asked for in vain, a sentence in the log says why."""
    if not training.cuda_graphs:
        return False
    if world.device.type != "cuda":
        log.warning("cuda_graphs has no effect on a CPU: steps are not captured")
        return False
    if world.size > 1:
        log.warning("cuda_graphs has no effect with %d ranks: steps are not captured", world.size)
        return False
    return True


def recorder() -> Record:
    """Records CUDA graphs that share one pool of memory; they are replayed one after the other."""
    pool = torch.cuda.graph_pool_handle()

    def record(rehearse: Callable[[], None], work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(REHEARSALS):
                rehearse()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            result = work()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay

    return record


class _Shape(NamedTuple):
    rows: int
    labelled: int
    references: int
    batch_size: int


class CapturedSteps:
    """The updates of a model, one recording for each shape of a batch."""

    def __init__(
        self,
        update: Callable[[Batch, int], Tensor],
        rehearse: Callable[[Batch, int], None],
        record: Record,
    ) -> None:
        """``update(batch, batch_size)`` is what is recorded; ``rehearse`` computes the same without changing the model."""
        self._update, self._rehearse, self._record = update, rehearse, record
        self._captured: dict[_Shape, Callable[[Batch], Tensor]] = {}

    def of(self, batch: Batch, batch_size: int) -> Callable[[Batch], Tensor]:
        """The recorded update for batches of this shape.

        It is recorded at the first use, and draws random numbers for that: seeds are set afterwards.
        """
        shape = _Shape(len(batch), batch.labelled, batch.references, batch_size)
        if shape not in self._captured:
            if len(self._captured) == MOST_SHAPES:
                self.forget()
            self._captured[shape] = self._capture(batch, batch_size)
            log.info("captured a step of %d rows, %d of them labelled", len(batch), batch.labelled)
        return self._captured[shape]

    def forget(self) -> None:
        """Drop all recordings, for something that they hold has changed."""
        self._captured.clear()

    def _capture(self, batch: Batch, batch_size: int) -> Callable[[Batch], Tensor]:
        own = Batch(
            image=batch.image.clone(),
            labels=batch.labels.clone(),
            observed=batch.observed.clone(),
            labelled=batch.labelled,
            references=batch.references,
        )
        replay = self._record(lambda: self._rehearse(own, batch_size), lambda: self._update(own, batch_size))

        def update(new: Batch) -> Tensor:
            own.image.copy_(new.image)
            own.labels.copy_(new.labels)
            own.observed.copy_(new.observed)
            return replay().clone()  # the next replay overwrites it

        return update
