"""How a unit ends as a process, started by a launcher or by hand: its exit status and its last message."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from data_prep.errors import Interrupted, report_user_errors
from pipeline.training.interruption import STOP_SIGNALS, stop_requests

EXIT_INTERRUPTED = 75
"""Exit status of a run that was asked to stop and can be resumed (EX_TEMPFAIL)."""


@contextmanager
def exits_as_a_unit() -> Iterator[None]:
    """Run the block as a unit: it handles stop signals, and its errors become an exit status.

    Raises:
        SystemExit: 2 after a user error, which was reported in one sentence. If it was asked to stop, 75, but under
            SLURM 0: there the batch script reads in ``outcome.json`` what to do (see ``jobs.epilogue``).
    """
    with _ignoring_signals_afterwards(), stop_requests(), report_user_errors():
        try:
            yield
        except Interrupted as stop:
            print(stop, flush=True)
            status = 0 if "SLURM_JOB_ID" in os.environ else EXIT_INTERRUPTED
            # Not before the unit itself has imported torch.
            from pipeline.world import leave_at_once, ranks_from_environment

            if ranks_from_environment().size > 1:
                leave_at_once(status)
            raise SystemExit(status) from None


@contextmanager
def _ignoring_signals_afterwards() -> Iterator[None]:
    """Ignore signals after the unit: submitit's own handler, which is then restored, would requeue the job."""
    try:
        yield
    finally:
        if "SUBMITIT_EXECUTOR" in os.environ:
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
