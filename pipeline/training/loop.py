"""The training loop: epochs of steps, with records, checkpoints, and an orderly stop at any step boundary."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from data_prep.errors import Diverged, Interrupted
from pipeline.cells.lease import no_guard
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.data.order import images_per_epoch
from pipeline.models.interface import DataSpec, KeepsExamples
from pipeline.tracking.metric_log import Kind
from pipeline.training import checkpoint
from pipeline.training.interruption import StopRequest, stop_requests
from pipeline.training.players import EpochsWon
from pipeline.training.progress import Objectives, Progress
from pipeline.training.step import Step
from pipeline.training.watchdog import unwatched
from pipeline.world import World

log = logging.getLogger(__name__)

Record = Callable[[Kind, int, dict[str, float]], None]
"""``record(kind, step, metrics)``: receives rank 0's metrics."""


STEPS_BETWEEN_STOP_CHECKS = 10


def train(
    config: RunConfig,
    checkpoints: Path,
    data: DataSet,
    world: World,
    record: Record,
    *,
    guard: Callable[[], None] = no_guard,
    heartbeat: Callable[[], None] = unwatched,
) -> torch.nn.Module:
    """Train a run until its last epoch, from its newest good checkpoint if there is one.

    Args:
        config: the run.
        checkpoints: folder of its checkpoints.
        data: the prepared data set.
        world: the ranks that train together; each calls this.
        record: receives rank 0's metrics.
        guard: called by rank 0 before it writes; raises LeaseLost if a newer copy has the lease.
        heartbeat: called at each step.

    Returns:
        The model.

    Raises:
        Interrupted: the run was asked to stop, and a checkpoint is written. On all ranks together.
        Diverged: the objective is no longer finite. On all ranks together.
        LeaseLost: on rank 0 only; the other ranks then lose rank 0.
    """
    step = Step(config, DataSpec.of(data.manifest), world)
    examples = TrainingExamples(config, data, world)
    try:
        if isinstance(step.model, KeepsExamples):
            step.model.keep_examples(examples.of_each_class())
        with stop_requests() as stop:
            _Run(config, checkpoints, world, record, step, examples, stop, guard, heartbeat).run()
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
        guard: Callable[[], None],
        heartbeat: Callable[[], None],
    ) -> None:
        self.config, self.checkpoints, self.world, self.record = config, checkpoints, world, record
        self.step, self.examples, self.stop = step, examples, stop
        self.guard, self.heartbeat = guard, heartbeat
        self.last_step = config.last_step(examples.rows, examples.references)
        self.images = images_per_epoch(examples.rows, examples.references)
        self.steps = self.last_step // config.training.epochs

    def run(self) -> None:
        self.step.warm_up(self.examples.first())
        self.objective_row = self.step.term_names.index("objective")
        self.won = EpochsWon()
        self.progress = self._resume()
        self.saved_step, self.saved_at = self.progress.step, time.monotonic()
        self.objectives = Objectives(self.objective_row)
        self.recorded_step = self.progress.step
        self._handle_requests()
        while self.progress.step < self.last_step:
            self._epoch(self.progress.step // self.steps)

    def _epoch(self, epoch: int) -> None:
        self.step.begin_epoch(epoch, self.steps)
        began, done_before = time.perf_counter(), self.progress.step
        for batch, batch_size in self.examples.epoch(epoch, first_step=self.progress.step % self.steps):
            terms = self.step(batch, self.progress.step, batch_size)
            self.progress.sums += terms
            self.progress.step += 1
            self.objectives.keep(terms)
            self.heartbeat()
            ends = self.progress.step % self.steps == 0
            if ends or self.progress.step % self.config.training.log_every_steps == 0:
                self._record()
            if not ends and self.progress.step % STEPS_BETWEEN_STOP_CHECKS == 0:
                self._handle_requests()
        seconds, done = time.perf_counter() - began, self.progress.step - done_before
        speed = self.images * (done / self.steps) / seconds
        self._record_epoch(epoch + 1, speed)
        log.info("epoch %d of %d, %.0f images/s", epoch + 1, self.config.training.epochs, speed)
        last = self.progress.step == self.last_step
        if last or (epoch + 1) % self.config.training.checkpoint_every_epochs == 0:
            self._save()
        if not last:
            self._handle_requests()

    def _handle_requests(self) -> None:
        """At a step boundary: save if a checkpoint is due, stop if a rank was asked to."""
        minutes = (time.monotonic() - self.saved_at) / 60
        due = self.world.is_rank_zero and minutes >= self.config.training.checkpoint_every_minutes
        stop, save = self.world.any_of([self.stop.requested, due])
        if (stop or save) and self.saved_step != self.progress.step:
            self._save()
        if stop:
            raise Interrupted(
                f"stopped after step {self.progress.step} of {self.last_step}, with a checkpoint; run the same"
                " command to resume"
                if self.progress.step
                else f"stopped before its first step of {self.last_step}; run the same command to start"
            )

    def _record_epoch(self, epoch: int, speed: float) -> None:
        means = self._means(self.progress.since_epoch)
        also = {"epoch": float(epoch), "images_per_second": speed} | self.won.count(means, epoch)
        if self.world.is_rank_zero:
            self.record("epoch", self.progress.step, means | also)

    def _record(self) -> None:
        means = self._means(self.progress.since_record)
        if self.world.is_rank_zero:
            self.record("train", self.progress.step, means | {"epoch": self.progress.step / self.steps})

    def _means(self, sums: Tensor) -> dict[str, float]:
        """Sum the terms over ranks, read them as means, and reset the sums; Diverged if the objective is not finite."""
        totals = self.world.all_reduce_sum(sums.clone()).tolist()
        sums.zero_()
        means = {
            name: total / count
            for name, (total, count) in zip(self.step.term_names, totals, strict=True)
            if count
        }
        if not math.isfinite(means["objective"]):
            raise self._diverged(means["objective"])
        self.recorded_step = self.progress.step
        self.objectives.forget()
        return means

    def _diverged(self, objective: float) -> Diverged:
        """The error that names the first step since the last record at which a rank's objective was not finite."""
        own = min(self.recorded_step + self.objectives.finite_steps() + 1, self.progress.step)
        return Diverged(
            f"the objective is {objective} at step {self.world.all_reduce_min(own)}; {self._advice()}"
        )

    def _advice(self) -> str:
        there = (
            f"the newest checkpoint, of step {self.saved_step}, is" if self.saved_step else "no checkpoint is"
        )
        return f"{there} from before it: try a smaller learning rate"

    def _save(self) -> None:
        sums = self.world.gather(self.progress.sums)
        objective = float(sums[:, 1, self.objective_row, 0].sum())
        if not math.isfinite(objective):
            raise self._diverged(objective)
        (diverged,) = self.world.any_of([not self.step.is_finite()])
        if diverged:
            raise Diverged(f"a parameter is not finite after step {self.progress.step}; {self._advice()}")
        if self.world.is_rank_zero:
            state = self.step.state() | {"step": self.progress.step, "sums": sums}
            if self.won.counts:
                state["epochs_won"] = self.won.counts
            keep = self.config.training.keep_checkpoints
            checkpoint.save(self.checkpoints, self.progress.step, state, keep, self.guard)
        self.saved_step, self.saved_at = self.progress.step, time.monotonic()
        self.world.barrier()
        self.heartbeat()

    def _resume(self) -> Progress:
        found = checkpoint.newest_good(self.checkpoints) if self.world.is_rank_zero else None
        # Rank 0 decides for all: each rank on its own might find a different one.
        step = self.world.broadcast(-1 if found is None else found)
        if step < 0:
            zeros = torch.zeros(2, len(self.step.term_names), 2, device=self.world.device)
            return Progress(0, zeros)
        state = checkpoint.load(self.checkpoints, step, self.world.device)
        self.step.restore(state)
        self.won = EpochsWon(state.get("epochs_won"))
        log.info("resuming from step %d of %d", step, self.last_step)
        sums = state["sums"][self.world.rank].clone()
        if len(sums[0]) != len(self.step.term_names):  # a checkpoint of a version that recorded fewer terms
            sums = sums.new_zeros(2, len(self.step.term_names), 2)
        return Progress(step, sums)
