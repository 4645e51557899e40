"""The cells of a pack: they share a GPU (without GPUs: a job) as processes of one job, one process each.

``run_pack`` is the task of the job. Each cell is an ordinary unit in a process of its own (``jobs.pack_member``), with its
own lease, log, outcome and metrics, so one that crashes, diverges or hangs ends alone. A crashed one is started again here
while the others continue. When the job is asked to stop, all are; the batch script then decides for each of them
(``jobs.epilogue``). Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_prep.counted import counted
from jobs.exit_status import exits_as_a_unit
from jobs.mps import mps_sentence, note_mps
from jobs.outcome import Action, Outcome, Unit, attempts, next_action
from pipeline.cells.attempt import Attempt
from pipeline.cells.folder import CANCELLED, RESET, CellFolder
from pipeline.measures.plan import is_done
from pipeline.measures.settings import MeasuresConfig
from pipeline.training.interruption import STOP_SIGNALS, StopRequest, stop_requests

CELLS_PER_GPU = "TRAITVAE_CELLS_PER_GPU"
"""Environment variable of a process: how many such processes share its GPU."""

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_TO_BE_SIGNALLED = 1.0
"""How long after the end of a process the pack waits for a signal that both of them were to get."""
SECONDS_TO_STOP = 60.0
"""How long a cancelled cell may take for its checkpoint."""


def run_pack(
    unit: Unit,
    config_files: Sequence[Path],
    cells_per_gpu: int,
    retries: int,
    take: tuple[str, ...] | None = None,
    split: str | None = None,
) -> None:
    """Run ``train`` or ``evaluate`` on several cells at once, until each is done, given up, or asked to stop.

    Args:
        unit: which of the two.
        config_files: of the cells.
        cells_per_gpu: by how many the job's threads, and its GPU's memory, are divided.
        retries: how often a crashed cell is started again, as in ``next_action``.
        take: for ``evaluate``, as in ``jobs.run``.
        split: for ``evaluate``, as in ``jobs.run``.

    Raises:
        SystemExit: see :func:`jobs.exit_status.exits_as_a_unit`.
    """
    with exits_as_a_unit(), stop_requests() as stop:
        cells = [CellFolder.of(file) for file in config_files]
        Pack(unit, cells, cells_per_gpu, retries, take, split, stop).run()


@dataclass(eq=False)
class _Member:
    """A cell whose process is alive."""

    cell: CellFolder
    process: subprocess.Popen[bytes]
    asked_to_stop_at: float | None = None


@dataclass
class Pack:
    """The cells of one job."""

    unit: Unit
    cells: Sequence[CellFolder]
    cells_per_gpu: int
    retries: int
    take: tuple[str, ...] | None
    split: str | None
    stop: StopRequest
    attempt: Attempt = field(default_factory=Attempt.here)
    _alive: list[_Member] = field(default_factory=list)

    def run(self) -> None:
        """Start all that are not settled, and return when none is alive."""
        _say(
            f"{counted(len(self.cells), 'cell')}, {counted(threads_of_each(self.cells_per_gpu), 'thread')} each;"
            f" {mps_sentence()}"
        )
        if self.cells_per_gpu > 1:
            note_mps(self.cells[0].folder.parent)
        for cell in self.cells:
            if settled(cell, self.unit, self.attempt, self._measures(cell)) is None:
                self._start(cell)  # also if asked to stop by now: each attempt says how it ended
        while self._alive:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            for member in list(self._alive):
                if member.process.poll() is not None:
                    self._alive.remove(member)
                    self._after(member)
                elif self.stop.requested or has_left(member.cell, self.attempt.job):
                    self._ask_to_stop(member)

    def _start(self, cell: CellFolder) -> None:
        # An attempt that ends before taking the lease (say, while importing) must not be reported with an older message.
        Outcome.clear(cell.folder)
        log = output_file(cell, self.unit)
        log.parent.mkdir(parents=True, exist_ok=True)
        measured = json.dumps({"take": self.take, "split": self.split})
        command = [sys.executable, "-u", "-m", "jobs.pack_member", self.unit, str(cell.config_file), measured]
        # Signals that arrive before the new process can handle them wait for it, instead of killing it.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=member_environment(os.environ, self.cells_per_gpu),
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        self._alive.append(_Member(cell, process))

    def _after(self, member: _Member) -> None:
        cell, status = member.cell, member.process.returncode
        time.sleep(SECONDS_TO_BE_SIGNALLED)
        left = has_left(cell, self.attempt.job)
        if left or self.stop.requested:
            _say(f"{cell.name}: ended with status {status}{' after it was cancelled' if left else ''}")
            return
        action = next_action(cell, self.unit, self.attempt, self.retries, measures=self._measures(cell))
        _say(f"{cell.name}: ended with status {status}: {_IN_WORDS[action]}")
        if action == "again":
            self._start(cell)

    def _ask_to_stop(self, member: _Member) -> None:
        """Signal a process; one that was cancelled and does not end is killed, while SLURM kills those of a job."""
        now = time.monotonic()
        if member.asked_to_stop_at is None:
            member.asked_to_stop_at = now
            with contextlib.suppress(ProcessLookupError):
                member.process.send_signal(signal.SIGUSR2)
        elif now - member.asked_to_stop_at > SECONDS_TO_STOP and not self.stop.requested:
            member.process.kill()

    def _measures(self, cell: CellFolder) -> MeasuresConfig | None:
        return measures_of(cell, self.take, self.split)


_IN_WORDS: dict[Action, str] = {
    "done": "done",
    "again": "started again",
    "give_up": "given up",
    "leave": "left alone",
}


def measures_of(cell: CellFolder, take: Sequence[str] | None, split: str | None) -> MeasuresConfig | None:
    """The measures of an evaluating unit; None to use the cell's configuration."""
    return replace(cell.measures_config(), take=tuple(take), split=str(split)) if take else None


def settled(
    cell: CellFolder, unit: Unit, attempt: Attempt, measures: MeasuresConfig | None = None
) -> Action | None:
    """What became of a cell of a pack that needs no (further) attempt in this job; None if it does.

    ``leave``: it was cancelled, or there is nothing to measure, because its training failed.
    """
    if cell.is_trained() if unit == "train" else is_done(cell, measures):
        return "done"
    if cell.failed() is not None:
        return "give_up"
    if has_left(cell, attempt.job) or (unit == "evaluate" and not cell.is_trained()):
        return "leave"
    return None


def has_left(cell: CellFolder, job: str) -> bool:
    """Whether a cell was cancelled or given up in this job, which may still be running with other cells.

    It then belongs to whichever job it is submitted with next, even if this one is requeued.
    """
    if cell.failed() is not None:
        return True
    given_up = False
    for entry in attempts(cell):
        if entry.get("ended") == CANCELLED and job and job in entry.get("jobs", ()):
            return True
        given_up = given_up or (bool(job) and entry.get("job") == job)
        if entry.get("ended") == RESET and given_up:
            return True
    return False


def output_file(cell: CellFolder, unit: str) -> Path:
    """What a cell's process in a pack prints, over all attempts."""
    return cell.folder / "log" / f"{unit}-output.txt"


def threads_of_each(cells_per_gpu: int) -> int:
    """Threads of each cell: OMP_NUM_THREADS if it is set, else an equal share of the CPUs that a cell alone would use.

    It depends on how many may share the job, and not on how many do: the number of threads decides the last bits of a
    result on a CPU, and is to be the same when some of the cells are done.
    """
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if given.isdecimal():
        return max(1, int(given))
    alone = int(os.environ.get("SLURM_CPUS_PER_TASK") or len(os.sched_getaffinity(0)))
    return max(1, alone // cells_per_gpu)


def member_environment(variables: os._Environ[str] | dict[str, str], cells_per_gpu: int) -> dict[str, str]:
    """The environment of a cell's process: a rank of its own, which submitit does not know."""
    own = {name: value for name, value in variables.items() if not name.startswith("SUBMITIT_")}
    return own | {
        "OMP_NUM_THREADS": variables.get("OMP_NUM_THREADS") or str(threads_of_each(cells_per_gpu)),
        # Waiting threads would otherwise spin on CPUs that another cell could use.
        "OMP_WAIT_POLICY": variables.get("OMP_WAIT_POLICY") or "passive",
        CELLS_PER_GPU: str(cells_per_gpu),
    }


def _say(sentence: str) -> None:
    print(f"pack: {sentence}", file=sys.stderr, flush=True)
