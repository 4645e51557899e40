"""Trains one cell, or resumes its training: ``python -m jobs.train --config FILE``.

One process per rank; rank and world size come from torchrun, SLURM or submitit; without any of them it is the only
one. A cell that is already trained is left unchanged.
"""

from __future__ import annotations

import gc
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

import tyro

from data_prep.errors import Diverged, Interrupted, report_user_errors
from data_prep.start_up import imports_are_done
from jobs.exit_status import exits_as_a_unit
from jobs.extension import extend_shorter_run
from jobs.outcome import Outcome, write_outcome
from jobs.unit import (
    check_splits,
    limit_threads,
    logged,
    open_data,
    share_the_gpu,
    take_rank_from_submitit,
    tracker_for,
)
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.cells.lease import hold_lease
from pipeline.training.interruption import stop_requests
from pipeline.training.loop import train
from pipeline.training.memory import keep_freed_memory
from pipeline.training.watchdog import watching_for_hangs
from pipeline.world import leave_at_once, lost_rank, process_group

SECONDS_TO_THE_FIRST_UPLOAD = 20.0
"""A training in a sweep that ends before is uploaded by the process that measures the cell, or resumes it."""


def train_cell(config_file: Path, *, patience_s: float = 0.0) -> None:
    """Train the cell of a ``config.json`` until its last epoch.

    If it ends earlier, the reason is in the cell's ``outcome.json``.

    Args:
        config_file: of the cell.
        patience_s: how long the first upload waits (see ``Tracker``), if another process follows.

    Raises:
        Interrupted: it was asked to stop; run again, it resumes from its checkpoint.
        UserError: something the user can fix (see ``data_prep.errors``).
    """
    with stop_requests():  # from here on, not only during the steps
        cell = Cell.open(config_file)
        take_rank_from_submitit()
        with logged(cell, "train") as log_file:
            if cell.is_trained():
                return
            attempt = Attempt.here()
            try:
                _join_and_train(cell, attempt, log_file, patience_s if cell.config.measures.take else 0.0)
            except Exception as error:
                write_outcome(cell, "train", attempt, error)
                raise


def _join_and_train(cell: Cell, attempt: Attempt, log_file: Path, patience_s: float) -> None:
    limit_threads()
    keep_freed_memory()
    data, settings = open_data(cell), cell.config.training
    check_splits(cell, data)
    with (
        process_group(settings.ranks, settings.device, settings.hang_seconds) as world,
        ExitStack() as of_first,
    ):
        share_the_gpu(world.device)
        lease = tracker = None
        if world.is_rank_zero:
            lease = of_first.enter_context(hold_lease(cell.folder, attempt, "train"))
        (trained,) = world.any_of([lease is not None and cell.is_trained()])
        if trained:  # by another process, while this one started
            return
        if lease is not None:
            Outcome.clear(cell.folder)
            extend_shorter_run(cell, data.manifest.digest, lease.check)
            tracker = of_first.enter_context(tracker_for(cell, data, lease.check, patience_s=patience_s))
        world.barrier()  # no rank reads a checkpoint before this attempt has the lease
        guarded = {} if lease is None else {"guard": lease.check}
        record = (lambda *_: None) if tracker is None else tracker.log
        try:
            with watching_for_hangs(settings.hang_seconds, log_file) as heartbeat:
                model = train(
                    cell.config,
                    cell.checkpoints,
                    data,
                    world,
                    record,
                    heartbeat=heartbeat,
                    **guarded,
                )
        except Exception as error:
            # Before the process group ends: the other ranks then lose this one, and have less to say.
            write_outcome(cell, "train", attempt, lost_rank(error) or error)
            if isinstance(error, Interrupted | Diverged):  # raised on all ranks together
                if tracker is not None:
                    tracker.close("running" if isinstance(error, Interrupted) else "failed")
                # If a rank exited now, rank 0 might be killed while it still writes.
                world.barrier()
            raise
        if tracker is not None:
            tracker.artifact(cell.config_file)
            from pipeline.exports.pyfunc import write_logged  # here: other ranks need none of it

            steps = cell.last_step() or 0
            tracker.model(
                partial(write_logged, cell=cell, manifest=data.manifest, network=model, steps=steps)
            )
            tracker.close("running")  # measuring finishes the run
        if lease is not None:
            lease.check()
            cell.mark_trained()


@dataclass
class Arguments:
    """Train one cell of a sweep, or resume its training."""

    config: Path
    """The cell's `config.json`; checkpoints and metrics go into the same folder."""


def main() -> None:
    """Command line."""
    with report_user_errors():
        arguments = tyro.cli(Arguments, prog="python -m jobs.train")
    with exits_as_a_unit():
        train_cell(arguments.config)
    leave_at_once()


if __name__ == "__main__":
    imports_are_done()
    main()
