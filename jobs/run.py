"""One unit of a cell as a function that a launcher can name without importing torch: it does so only when it is called."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.errors import Interrupted, report_user_errors
from pipeline.training.interruption import STOP_SIGNALS, listening_for_stop

EXIT_INTERRUPTED = 75
"""Exit status of a run that was asked to stop and goes on when it is started again (EX_TEMPFAIL)."""


def run_unit(unit: str, config_file: Path) -> None:
    """Run ``train`` or ``evaluate`` on the cell of a ``config.json``, and end like a command.

    Raises:
        SystemExit: 2 behind an error of the user's, which was told in one sentence. Where it was asked to stop 75, but
            under SLURM 0: there the batch script reads in ``outcome.json`` what to do (see ``jobs.epilogue``).
    """
    with _deaf_afterwards(), listening_for_stop(), report_user_errors():
        try:
            if unit == "train":
                from jobs.train import train_cell

                train_cell(config_file)
            elif unit == "evaluate":
                from jobs.evaluate import evaluate_cell

                evaluate_cell(config_file)
            else:
                raise ValueError(f"there is no unit {unit}")
        except Interrupted as stop:
            print(stop, flush=True)
            raise SystemExit(0 if "SLURM_JOB_ID" in os.environ else EXIT_INTERRUPTED) from None


@contextmanager
def _deaf_afterwards() -> Iterator[None]:
    """Ignore signals behind the unit: submitit's own handler, which comes back, would put the job into the queue."""
    try:
        yield
    finally:
        if "SUBMITIT_EXECUTOR" in os.environ:
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
