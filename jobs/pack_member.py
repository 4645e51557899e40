"""One cell of a pack: ``python -m jobs.pack_member UNIT CONFIG MEASURES``, started by ``jobs.pack``."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from jobs.exit_status import exits_as_a_unit
from jobs.run import run_unit
from pipeline.training.interruption import STOP_SIGNALS

_PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


def main() -> None:
    """Run the unit, and exit like it."""
    unit, config_file, measured = sys.argv[1:]
    options = json.loads(measured)
    take = None if options["take"] is None else tuple(options["take"])
    _end_with_the_pack()
    with exits_as_a_unit():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # blocked until there is a handler
        run_unit(unit, Path(config_file), take, options["split"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # everything is written; as in ``jobs.train``


def _end_with_the_pack() -> None:
    """Be killed when the pack's process is: SLURM may not find a process without a parent."""
    pack = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != pack:
        os._exit(1)


if __name__ == "__main__":
    main()
