"""The loop: epochs of steps, with records, checkpoints, and an orderly stop at any step boundary."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from data_prep.errors import Interrupted, RunError
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.models.interface import DataShape
from pipeline.tracking.metric_log import Kind
from pipeline.training import checkpoint
from pipeline.training.interruption import StopRequest, listening_for_stop
from pipeline.training.step import Step
from pipeline.world import World

log = logging.getLogger(__name__)

Record = Callable[[Kind, int, dict[str, float]], None]
"""``record(kind, step, metrics)``: where rank 0's numbers go."""

STEPS_BETWEEN_STOP_CHECKS = 10


@dataclass
class Progress:
    """Where a run stands; with the model and the optimiser, all that resumes."""

    step: int
    """Steps done since the beginning."""
    since_record: Tensor
    """Sums and counts of the terms on this rank since the last record: (term, 2)."""
    since_epoch: Tensor
    """The same since the epoch began."""


def train(
    config: RunConfig, checkpoints: Path, data: DataSet, world: World, record: Record
) -> torch.nn.Module:
    """Train a run until its last epoch, from its newest good checkpoint if there is one; returns the model.

    Raises:
        Interrupted: the run was asked to stop, and a checkpoint is written.
        RunError: the objective is not finite any more.
    """
    step = Step(config, DataShape.of(data.manifest), world)
    examples = TrainingExamples(config, data, world)
    try:
        with listening_for_stop() as stop:
            _Run(config, checkpoints, world, record, step, examples, stop).run()
    finally:
        examples.close()
    return step.model


class _Run:
    def __init__(
        self,
        config: RunConfig,
        checkpoints: Path,
        world: World,
        record: Record,
        step: Step,
        examples: TrainingExamples,
        stop: StopRequest,
    ) -> None:
        self.config, self.checkpoints, self.world, self.record = config, checkpoints, world, record
        self.step, self.examples, self.stop = step, examples, stop
        self.saved_step = -1
        self.last_step = config.last_step(examples.rows)
        self.steps = self.last_step // config.training.epochs

    def run(self) -> None:
        self.step.warm_up(self.examples.first())
        self.progress = self._resume()
        while self.progress.step < self.last_step:
            self._epoch(self.progress.step // self.steps)

    def _epoch(self, epoch: int) -> None:
        began, done_before = time.perf_counter(), self.progress.step
        for batch, batch_size in self.examples.epoch(epoch, first_step=self.progress.step % self.steps):
            terms = self.step(batch, self.progress.step, batch_size)
            self.progress.since_record += terms
            self.progress.since_epoch += terms
            self.progress.step += 1
            ends = self.progress.step % self.steps == 0
            if ends or self.progress.step % self.config.training.log_every_steps == 0:
                self._record("train", self.progress.since_record, {"epoch": self.progress.step / self.steps})
            if not ends and self.progress.step % STEPS_BETWEEN_STOP_CHECKS == 0:
                self._stop_if_asked()
        seconds, done = time.perf_counter() - began, self.progress.step - done_before
        speed = self.examples.rows * (done / self.steps) / seconds
        self._record("epoch", self.progress.since_epoch, {"epoch": epoch + 1.0, "images_per_second": speed})
        log.info("epoch %d of %d, %.0f images/s", epoch + 1, self.config.training.epochs, speed)
        last = self.progress.step == self.last_step
        if last or (epoch + 1) % self.config.training.checkpoint_every_epochs == 0:
            self._save()
        if not last:
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.world.any(self.stop.asked):
            if self.saved_step != self.progress.step:
                self._save()
            raise Interrupted(
                f"stopped behind step {self.progress.step} of {self.last_step}, with a checkpoint; started again, the"
                " run goes on from there"
            )

    def _record(self, kind: Kind, sums: Tensor, also: dict[str, float]) -> None:
        """Add the terms up over ranks, read them, hand them to rank 0's record, and start counting anew."""
        totals = self.world.add_up(sums.clone()).tolist()
        sums.zero_()
        means = {
            name: total / count
            for name, (total, count) in zip(self.step.term_names, totals, strict=True)
            if count
        }
        if not math.isfinite(means["objective"]):
            raise RunError(
                f"the objective is {means['objective']} behind step {self.progress.step}; the newest checkpoint is from"
                " before it: try a smaller learning rate"
            )
        if self.world.is_first:
            self.record(kind, self.progress.step, means | also)

    def _save(self) -> None:
        # Terms are summed over the ranks of a run; rank 0 keeps the sum, the others go on from zero.
        for sums in (self.progress.since_record, self.progress.since_epoch):
            self.world.add_up(sums)
            if not self.world.is_first:
                sums.zero_()
        if self.world.is_first:
            state = self.step.state() | {
                "step": self.progress.step,
                "since_record": self.progress.since_record,
                "since_epoch": self.progress.since_epoch,
            }
            checkpoint.save(
                self.checkpoints, self.progress.step, state, self.config.training.keep_checkpoints
            )
        self.saved_step = self.progress.step
        self.world.barrier()

    def _resume(self) -> Progress:
        zeros = torch.zeros(len(self.step.term_names), 2, device=self.world.device)
        state = checkpoint.load_newest(self.checkpoints, self.world.device)
        if state is None:
            return Progress(0, zeros, zeros.clone())
        self.step.restore(state)
        log.info("going on behind step %d of %d", state["step"], self.last_step)
        if not self.world.is_first:
            return Progress(state["step"], zeros, zeros.clone())
        return Progress(state["step"], state["since_record"], state["since_epoch"])
