"""Cells as submitit jobs on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import submitit

from data_prep.files import naming
from jobs.outcome import Outcome, attempts, next_action
from jobs.run import run_unit
from jobs.trial import Trials
from launch.clusters.backend import Phase, State, last_error, new_jobs_folder
from launch.clusters.capacity import Capacity, Taken, ranks_of
from launch.clusters.folder_state import failed
from launch.clusters.packing import without_auto
from launch.clusters.resources import RETRIES, Resources
from launch.clusters.this_machine import environment, ignoring, kill_with_children
from launch.plan import NeededData
from launch.readers import ReaderSweep, untrained_readers
from launch.stopping import holding_signals_back
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.cells.folder import CANCELLED
from pipeline.cells.lease import is_running
from pipeline.measures.plan import is_done

SECONDS_TO_STOP = 60.0


@dataclass(kw_only=True)
class _Running(Taken):
    cell: Cell
    job: submitit.Job
    unit: Literal["train", "evaluate"]


_PHASES: dict[str, Phase] = {"train": "training", "evaluate": "measuring"}
_TAKEN = State("waiting", "another process is running it")
_UNTRAINED = State("stopped", "not trained; the command that started the sweep trains it")
_CANCELLED = State("stopped", "cancelled")
_WAITS_FOR_READERS = State("waiting", "to be measured, when its label readers are trained")


class LocalBackend:
    """Runs as many cells at once as there are GPUs, or CPUs, for their ranks."""

    def __init__(self, sweep: Path, resources: Resources) -> None:
        self.sweep, self.capacity = sweep, Capacity(resources)
        self._states: dict[str, State] = {}
        self._waiting: list[Cell] = []
        self._running: list[_Running] = []
        self._restarts: dict[str, int] = {}
        self._cancelled_before: dict[str, int] = {}
        self._folder: Path | None = None
        self._train = True
        self._readers: list[Cell] = []

    def describe(
        self, cells: Sequence[Cell], data: Sequence[NeededData], readers: Sequence[Cell] = ()
    ) -> str:
        return self.capacity.described([*readers, *cells])

    def check(
        self, cells: Sequence[Cell], data: Sequence[NeededData], tracking: str, *, thorough: bool
    ) -> None:
        """Warn about cells that fall back to the CPU."""
        self.capacity.check(cells)

    def prepare(self, data: Sequence[NeededData]) -> None:
        for entry in data:
            entry.prepare_here()

    def submit(
        self,
        cells: Sequence[Cell],
        lock: BinaryIO | None = None,
        *,
        train: bool = True,
        readers: Sequence[ReaderSweep] = (),
    ) -> None:
        self._train = train
        self._readers = [reader for sweep in readers for reader in sweep.cells]
        cells = [*self._readers, *cells]
        self.capacity.resources = without_auto(
            self.sweep,
            self.capacity.resources,
            self.capacity.place(cells),
            lambda counts: self._trials(cells, counts),
            len(cells),
        )
        self._waiting = [cell for cell in cells if not is_done(cell)]
        self._states = {cell.name: State("done" if is_done(cell) else "waiting") for cell in cells}
        self._cancelled_before = {cell.name: _times_cancelled(cell) for cell in self._waiting}

    def _trials(self, cells: Sequence[Cell], counts: Sequence[int]) -> Trials | None:
        """Try how many cells should run at once, on the first GPU or the CPUs of this machine."""
        files = [cell.config_file for cell in cells if not cell.is_trained()][: max(counts)]
        if not files:
            return None
        result = new_jobs_folder(self.sweep, "trial") / "trials.json"
        gpus = self.capacity.gpus[:1] if any(map(self.capacity.on_gpus, cells)) else []
        arguments = json.dumps([[str(file) for file in files], str(result), list(counts)])
        subprocess.run(
            [sys.executable, "-m", "jobs.trial", arguments],
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(gpus)},
            check=False,
        )
        return Trials.read(result)

    def states(self) -> dict[str, State]:
        self._collect()
        self._start()
        return self._states

    def is_closing(self) -> bool:
        return False

    def interrupt(self, again: bool) -> str:
        """Ask the jobs to write a checkpoint and stop; kill them the second time, or if they do not stop."""
        if not again and self._still_alive():
            with suppress(OSError):  # its terminal may be closed
                print("stopping; Ctrl-C again to stop at once", flush=True)
        deadline = time.monotonic() + (0 if again else SECONDS_TO_STOP)
        while self._still_alive() and time.monotonic() < deadline:
            for running in self._running:
                # Repeatedly: a rank that is still importing has no handler yet.
                running.job._process.send_signal(signal.SIGTERM)  # type: ignore[attr-defined]
            time.sleep(1.0)
        for running in self._still_alive():
            kill_with_children(running.job._process.pid)  # type: ignore[attr-defined]
        return "stopped; run the same command to resume from the checkpoints"

    def _still_alive(self) -> list[_Running]:
        return [running for running in self._running if not running.job.done()]

    def _start(self) -> None:
        for cell in list(self._waiting):
            if is_done(cell):
                self._waiting.remove(cell)
                self._states[cell.name] = State("done")
                continue
            if is_running(cell.folder):  # e.g. by another launcher: each cell runs once
                self._states[cell.name] = _TAKEN
                continue
            trained, ranks = cell.is_trained(), ranks_of(cell)
            if not (trained or self._trains(cell)):
                self._waiting.remove(cell)
                self._states[cell.name] = _UNTRAINED
                continue
            if trained and self._waits_for_readers(cell):
                self._states[cell.name] = _WAITS_FOR_READERS
                continue
            on_gpus = self.capacity.on_gpus(cell)
            if not self.capacity.has_room(ranks, on_gpus, self._running):
                continue
            self._waiting.remove(cell)
            if self._is_cancelled(cell):
                self._states[cell.name] = _CANCELLED
                continue
            unit: Literal["train", "evaluate"] = "evaluate" if trained else "train"
            gpus = self.capacity.least_used_gpus(ranks, self._running) if on_gpus else []
            with holding_signals_back():
                job = self._start_job(cell, unit, ranks, gpus)
                self._running.append(_Running(cell=cell, job=job, unit=unit, ranks=ranks, gpus=gpus))
            self._states[cell.name] = State(_PHASES[unit], restarts=self._restarts.get(cell.name, 0))

    def _start_job(
        self, cell: Cell, unit: Literal["train", "evaluate"], ranks: int, gpus: list[str]
    ) -> submitit.Job:
        # An attempt that ends before taking the lease (say, while importing) must not be reported with an older message.
        Outcome.clear(cell.folder)
        self._folder = self._folder or new_jobs_folder(self.sweep)
        executor = submitit.LocalExecutor(folder=self._folder)
        executor.update_parameters(
            tasks_per_node=ranks, gpus_per_node=len(gpus), timeout_min=60 * 24 * 365, name=cell.name
        )
        # submitit hides all GPUs but these; set after its check, which knows GPUs by number and not by name.
        executor.parameters["visible_gpus"] = tuple(gpus)
        # Ctrl-C at the terminal reaches every process: the ranks treat it as a request to stop, submitit's must survive.
        # So does the end of the terminal, which this process tells them.
        with (
            environment(**self.capacity.variables(bool(gpus))),
            ignoring(signal.SIGINT, signal.SIGHUP),
            naming(self._folder),
        ):
            if unit == "train":
                return executor.submit(run_unit, unit, cell.config_file)
            measures = cell.measures_config()
            return executor.submit(run_unit, unit, cell.config_file, measures.take, measures.split)

    def _collect(self) -> None:
        for running in [entry for entry in self._running if entry.job.done()]:
            self._running.remove(running)
            self._states[running.cell.name] = self._state_after(running)

    def _state_after(self, running: _Running) -> State:
        """The status of a cell whose job has ended; ``waiting`` if another job is to follow."""
        cell, retries = running.cell, self.capacity.resources.retries
        action = next_action(cell, running.unit, Attempt.here(), RETRIES if retries is None else retries)
        if is_done(cell):
            return State("done")
        if self._is_cancelled(cell):
            return _CANCELLED
        if action == "give_up":
            logs = [sub.paths.stderr for sub in (running.job._sub_jobs or [running.job])]
            return failed(cell, cell.failed() or last_error(logs))
        self._waiting.insert(0, cell)
        if action == "done":
            return State("waiting", "to be measured") if cell.is_trained() else _TAKEN
        self._restarts[cell.name] = self._restarts.get(cell.name, 0) + 1
        errors = [str(attempt.get("sentence", "")) for attempt in attempts(cell)]
        return State("waiting", f"to be retried: {errors[-1]}" if errors else "to be retried")

    def _trains(self, cell: Cell) -> bool:
        return self._train or cell in self._readers

    def _waits_for_readers(self, cell: Cell) -> bool:
        """Whether readers that the cell's measures rest on are still to be trained by this launcher."""
        at_work = {reader.folder for reader in [*self._waiting, *(entry.cell for entry in self._running)]}
        return bool(at_work.intersection(untrained_readers(cell)))

    def _is_cancelled(self, cell: Cell) -> bool:
        """Whether someone cancelled the cell since this launcher took it."""
        return _times_cancelled(cell) > self._cancelled_before.get(cell.name, 0)


def _times_cancelled(cell: Cell) -> int:
    return sum(attempt.get("ended") == CANCELLED for attempt in attempts(cell))
