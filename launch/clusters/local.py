"""Cells as submitit jobs on this machine, or one after another in this process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import psutil
import submitit

from data_prep.errors import Interrupted
from jobs.outcome import attempts, next_move
from jobs.run import run_unit
from launch.clusters.backend import Phase, State, last_error, new_jobs_folder
from launch.clusters.resources import RETRIES, Resources
from launch.plan import NeededData
from pipeline.attempt import Attempt
from pipeline.cell import Cell
from pipeline.lease import is_at_work

SECONDS_TO_STOP = 60.0


@dataclass
class _Running:
    cell: Cell
    job: submitit.Job
    unit: Literal["train", "evaluate"]
    ranks: int


_PHASES: dict[str, Phase] = {"train": "training", "evaluate": "measuring"}
_TAKEN = State("waiting", "another process is at work in it")


class LocalBackend:
    """Runs as many cells at once as there are processors for their ranks."""

    def __init__(self, sweep: Path, resources: Resources, *, in_this_process: bool) -> None:
        self.sweep, self.resources, self.in_this_process = sweep, resources, in_this_process
        self._states: dict[str, State] = {}
        self._waiting: list[Cell] = []
        self._running: list[_Running] = []
        self._restarts: dict[str, int] = {}
        self._folder: Path | None = None

    def describe(self, cells: Sequence[Cell], data: Sequence[NeededData]) -> str:
        if self.in_this_process:
            return "one cell after another, in this process"
        return f"on this machine, {self._slots(cells)} rank(s) at once, one processor each"

    def check(
        self, cells: Sequence[Cell], data: Sequence[NeededData], tracking: str, *, look_closely: bool
    ) -> None:
        """Nothing: what cannot work shows at once."""

    def prepare(self, data: Sequence[NeededData]) -> None:
        for entry in data:
            entry.prepare_here()

    def submit(self, cells: Sequence[Cell], lock: BinaryIO | None = None) -> None:
        self._waiting = [cell for cell in cells if not cell.is_done()]
        self._states = {cell.name: State("done" if cell.is_done() else "waiting") for cell in cells}
        self._free = self._slots(cells)

    def states(self) -> dict[str, State]:
        if self.in_this_process:
            self._run_next_here()
        else:
            self._collect()
            self._start()
        return self._states

    def is_closing(self) -> bool:
        return False

    def interrupt(self, told: bool) -> str:
        """Ask the jobs to write a checkpoint and end; kill them the second time, or when they do not."""
        if not told:
            print("stopping; Ctrl-C again to stop at once", flush=True)
        deadline = time.monotonic() + (0 if told else SECONDS_TO_STOP)
        while self._still_alive() and time.monotonic() < deadline:
            for running in self._running:
                # Again and again: a rank that is still importing does not listen yet.
                running.job._process.send_signal(signal.SIGTERM)  # type: ignore[attr-defined]
            time.sleep(1.0)
        for running in self._still_alive():
            _kill_with_children(running.job._process.pid)  # type: ignore[attr-defined]
        return "stopped; the same command goes on from the checkpoints"

    def _slots(self, cells: Sequence[Cell]) -> int:
        most = max((cell.config.training.ranks for cell in cells), default=1)
        if self.resources.max_parallel is not None:
            return self.resources.max_parallel * most
        return max(most, self.resources.gpus_per_node or len(os.sched_getaffinity(0)))

    def _still_alive(self) -> list[_Running]:
        return [running for running in self._running if not running.job.done()]

    def _start(self) -> None:
        for cell in list(self._waiting):
            if cell.is_done():
                self._waiting.remove(cell)
                self._states[cell.name] = State("done")
                continue
            if is_at_work(cell.folder):  # of another launcher, say: each cell runs once
                self._states[cell.name] = _TAKEN
                continue
            trained = cell.is_trained()
            ranks = 1 if trained else cell.config.training.ranks
            if ranks > self._free:
                continue
            self._waiting.remove(cell)
            self._free -= ranks
            running = _Running(
                cell, self._start_job(cell, trained, ranks), "evaluate" if trained else "train", ranks
            )
            self._running.append(running)
            self._states[cell.name] = State(_PHASES[running.unit], restarts=self._restarts.get(cell.name, 0))

    def _start_job(self, cell: Cell, trained: bool, ranks: int) -> submitit.Job:
        self._folder = self._folder or new_jobs_folder(self.sweep)
        executor = submitit.LocalExecutor(folder=self._folder)
        executor.update_parameters(
            tasks_per_node=ranks,
            gpus_per_node=min(ranks, self.resources.gpus_per_node or 0),
            timeout_min=60 * 24 * 365,
            name=cell.name,
        )
        # A Ctrl-C at the terminal reaches every process: the ranks take it as a wish to stop, submitit's must not die.
        with _environment(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive"), _ignoring(signal.SIGINT):
            return executor.submit(run_unit, "evaluate" if trained else "train", cell.config_file)

    def _collect(self) -> None:
        for running in [entry for entry in self._running if entry.job.done()]:
            self._running.remove(running)
            self._free += running.ranks
            self._states[running.cell.name] = self._state_behind(running)

    def _state_behind(self, running: _Running) -> State:
        """Where a cell stands whose job has ended; it waits again where another job is to follow."""
        cell, retries = running.cell, self.resources.retries
        move = next_move(cell, running.unit, Attempt.here(), RETRIES if retries is None else retries)
        if cell.is_done():
            return State("done")
        if move == "give_up":
            logs = [sub.paths.stderr for sub in (running.job._sub_jobs or [running.job])]
            return State("failed", cell.failed() or last_error(logs))
        self._waiting.insert(0, cell)
        if move == "done":
            return State("waiting", "to be measured") if cell.is_trained() else _TAKEN
        self._restarts[cell.name] = self._restarts.get(cell.name, 0) + 1
        said = [str(attempt.get("sentence", "")) for attempt in attempts(cell)]
        return State("waiting", f"to be tried again: {said[-1]}" if said else "to be tried again")

    def _run_next_here(self) -> None:
        if not self._waiting:
            return
        # Imported here: they bring torch along, which a launcher that starts processes can do without.
        from jobs.evaluate import evaluate_cell
        from jobs.train import train_cell

        cell = self._waiting.pop(0)
        try:
            train_cell(cell.config_file)
        except Interrupted:
            raise KeyboardInterrupt from None
        evaluate_cell(cell.config_file)
        self._states[cell.name] = State("done")


def _kill_with_children(pid: int) -> None:
    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set variables for child processes, where nobody has set them."""
    fresh = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(fresh)
    try:
        yield
    finally:
        for name in fresh:
            del os.environ[name]


@contextmanager
def _ignoring(number: signal.Signals) -> Iterator[None]:
    """Child processes that are started in the block ignore the signal until they say otherwise."""
    former = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, former)
