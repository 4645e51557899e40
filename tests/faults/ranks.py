"""The live ranks of a cell, however they were started: found by their open log files."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.cell import Cell
from tests.waiting import wait_for

_LOG = re.compile(r"/train-rank(\d+)\.txt$")


@dataclass(frozen=True)
class Rank:
    """A process that trains."""

    number: int
    pid: int
    node: str
    """SLURM's name of its node."""
    job: str
    """SLURM's id of its job, such as ``12_0``."""
    restart: int

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    @property
    def is_alive(self) -> bool:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False


def wait_until_gone(ranks: list[Rank], bound_s: float, story: Callable[[], str]) -> float:
    """Wait until none of them is alive; returns the seconds it took, and fails the test on timeout."""
    return wait_for(lambda: not any(rank.is_alive for rank in ranks), bound_s, story)


@contextlib.contextmanager
def standing_still(ranks: list[Rank]) -> Iterator[None]:
    """Stop processes during the block; they continue after it."""
    for rank in ranks:
        rank.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for rank in ranks:
            with contextlib.suppress(ProcessLookupError):
                rank.signal(signal.SIGCONT)


def living_ranks(cell: Cell) -> list[Rank]:
    """The ranks that currently train a cell, by number; all copies if there are several."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            number = _rank_of(process, str(cell.folder / "log"))
            if number is not None:
                found.append(_rank(number, Path("/proc", process)))
    return sorted(found, key=lambda rank: (rank.number, rank.restart))


def _rank_of(process: str, logs: str) -> int | None:
    """The number of the rank whose log in a folder a process writes; tests that wait ask this of all processes, often."""
    if "python" not in os.readlink(f"/proc/{process}/exe"):
        return None
    for handle in os.listdir(f"/proc/{process}/fd"):
        with contextlib.suppress(FileNotFoundError):
            opened = os.readlink(f"/proc/{process}/fd/{handle}")
            if opened.startswith(logs) and (match := _LOG.fullmatch(opened.removeprefix(logs))):
                return int(match[1])
    return None


def _rank(number: int, process: Path) -> Rank:
    said = (process / "environ").read_bytes().decode(errors="replace").split("\0")
    variables = dict(entry.split("=", 1) for entry in said if "=" in entry)
    job = variables.get("SLURM_JOB_ID", "")
    if "SLURM_ARRAY_JOB_ID" in variables:
        job = f"{variables['SLURM_ARRAY_JOB_ID']}_{variables['SLURM_ARRAY_TASK_ID']}"
    restart = int(variables.get("SLURM_RESTART_COUNT") or 0)
    return Rank(number, int(process.name), variables.get("SLURMD_NODENAME", ""), job, restart)
