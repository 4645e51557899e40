"""The processes on this machine that train or measure cells, found by the cells' leases."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import psutil

from launch.clusters.launchers import Launcher
from launch.clusters.this_machine import kill_with_children
from pipeline.cells.folder import CellFolder
from pipeline.cells.lease import LOCK_FILE, Holder, is_running


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A cell that a process outside SLURM trains or measures."""

    cell: CellFolder
    holder: Holder

    @property
    def host(self) -> str:
        return self.holder.attempt.host

    def process(self) -> psutil.Process | None:
        """Rank 0, if it runs on this machine; None if the process of that number is another one.

        It started before it took the lease, and has the cell's lock file open.
        """
        if self.host != socket.gethostname():
            return None
        with suppress(psutil.Error, ValueError):
            process = psutil.Process(self.holder.attempt.pid)
            if process.create_time() > datetime.fromisoformat(self.holder.since).timestamp() + 1.0:
                return None
            lock = str((self.cell.folder / LOCK_FILE).resolve())
            if any(file.path == lock for file in process.open_files()):
                return process
        return None

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return is_running(self.cell.folder)

    def has_launcher(self, launchers: Sequence[Launcher]) -> bool:
        """Whether one of the launchers started it, and takes care of it."""
        process = self.process()
        if process is None:
            return False
        with suppress(psutil.Error):
            return bool({launcher.pid for launcher in launchers} & {process.pid, *_ancestors(process)})
        return False


def local_runs(cells: Sequence[CellFolder]) -> list[LocalRun]:
    """The cells that run outside SLURM now."""
    holders = [(cell, Holder.read(cell.folder)) for cell in cells if is_running(cell.folder)]
    return [LocalRun(cell, holder) for cell, holder in holders if holder and not holder.attempt.job]


def stop(processes: Sequence[psutil.Process], seconds: float, say: Callable[[str], None]) -> bool:
    """Ask the processes to stop, and kill them with all their ranks if they have not after ``seconds``.

    Returns whether they stopped by themselves.
    """
    groups = {process.pid: _with_its_ranks(process) for process in processes}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    deadline = time.monotonic() + seconds
    alive = list(processes)
    while alive and time.monotonic() < deadline:
        _, alive = psutil.wait_procs(alive, timeout=1.0)
    for process in alive:
        say(f"process {process.pid} does not stop within {seconds:.0f} s and is killed")
        kill_with_children(groups[process.pid].pid)
    # The other ranks of a cell end with its rank 0.
    psutil.wait_procs([group for group in groups.values() if group.is_running()], timeout=10.0)
    return not alive


def _ancestors(process: psutil.Process) -> list[int]:
    return [ancestor.pid for ancestor in process.parents()]


def _with_its_ranks(process: psutil.Process) -> psutil.Process:
    """The process whose children are all ranks of a cell: submitit's, or the process itself if started otherwise."""
    with suppress(psutil.Error):
        parent = process.parent()
        if parent is not None and "submitit.local._local" in parent.cmdline():
            return parent
    return process
