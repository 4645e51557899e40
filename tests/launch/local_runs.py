"""Stand-ins for a local launcher and its ranks: ``python -m tests.launch.local_runs launcher|rank SWEEP CELL``."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from launch.clusters.launchers import announced
from pipeline.cells.attempt import Attempt
from pipeline.cells.lease import hold_lease

STOPPED = "stopped.txt"
"""Written into the cell's folder by a rank that was asked to stop."""


def hold(cell: Path) -> None:
    """Train, so to speak, until asked to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with hold_lease(cell, Attempt.here(), "train"):
            while True:
                signal.pause()
    finally:
        (cell / STOPPED).write_text("with a checkpoint")


def launch(sweep: Path, cell: str) -> None:
    """Run a rank, and stop it if asked to stop."""
    rank = subprocess.Popen([sys.executable, "-m", "tests.launch.local_runs", "rank", sweep, cell])
    signal.signal(signal.SIGTERM, lambda *_: rank.terminate())
    with announced(sweep):
        rank.wait()


if __name__ == "__main__":
    role, folder, name = sys.argv[1:]
    if role == "launcher":
        launch(Path(folder), name)
    else:
        hold(Path(folder) / name)
