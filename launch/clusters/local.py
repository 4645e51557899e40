"""Cells as submitit jobs on this machine, or one after another in this process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal

import submitit

from data_prep.errors import Interrupted, LaunchError, MeasuringError
from data_prep.files import naming
from jobs.mps import mps_sentence
from jobs.outcome import Outcome, attempts, next_action
from jobs.pack import CELLS_PER_GPU
from jobs.run import run_unit
from jobs.trial import Trials
from launch.clusters.backend import Phase, State, last_error, new_jobs_folder
from launch.clusters.folder_state import failed
from launch.clusters.packing import cells_per_gpu, refuse_to_pack_ranks, without_auto
from launch.clusters.resources import RETRIES, Resources
from launch.clusters.this_machine import environment, gpus_here, ignoring, kill_with_children, processors
from launch.plan import NeededData
from launch.readers import ReaderSweep, untrained_readers
from launch.stopping import holding_signals_back
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.cells.folder import CANCELLED
from pipeline.cells.lease import is_running
from pipeline.measures.plan import is_done

SECONDS_TO_STOP = 60.0


@dataclass
class _Running:
    cell: Cell
    job: submitit.Job
    unit: Literal["train", "evaluate"]
    ranks: int
    gpus: list[str]
    """GPU names as in ``gpus_here``, one per rank; empty on the CPU."""


_PHASES: dict[str, Phase] = {"train": "training", "evaluate": "measuring"}
_TAKEN = State("waiting", "another process is running it")
_UNTRAINED = State("stopped", "not trained; the command that started the sweep trains it")
_CANCELLED = State("stopped", "cancelled")
_WAITS_FOR_READERS = State("waiting", "to be measured, when its label readers are trained")


class LocalBackend:
    """Runs as many cells at once as there are GPUs, or CPUs, for their ranks."""

    def __init__(self, sweep: Path, resources: Resources, *, in_this_process: bool) -> None:
        self.sweep, self.resources, self.in_this_process = sweep, resources, in_this_process
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
        cells = [*readers, *cells]
        if self.in_this_process:
            return "one cell after another, in this process"
        places = [
            f"{count} {what}"
            for what, count, wanted in (
                ("GPU(s)", len(self._gpus), any(map(self._takes_gpus, cells))),
                ("CPU(s)", processors(), not all(map(self._takes_gpus, cells))),
            )
            if wanted
        ]
        refuse_to_pack_ranks(cells, self.resources)
        most, sharing = self.resources.max_parallel, self.resources.cells_per_gpu
        at_once = "" if most is None else f", at most {most} cell(s) at once"
        if sharing is None:
            return f"on this machine, a rank on each of {' and '.join(places)}{at_once}"
        where = "each GPU" if any(map(self._takes_gpus, cells)) else "its CPUs"
        return f"on this machine ({' and '.join(places)}), {sharing} cell(s) at once on {where}{at_once}"

    def takes_gpus(self, ranks: int, *, on_gpus: bool) -> bool:
        """Whether ``ranks`` ranks get a GPU each, if they want one: NCCL does not let ranks share a GPU."""
        return on_gpus and ranks <= len(self._gpus)

    def _takes_gpus(self, cell: Cell) -> bool:
        return self.takes_gpus(_ranks(cell), on_gpus=cell.config.training.device != "cpu")

    def check(
        self, cells: Sequence[Cell], data: Sequence[NeededData], tracking: str, *, thorough: bool
    ) -> None:
        """Warn about cells that have more ranks than there are GPUs, and fall back to the CPU."""
        if self.in_this_process:
            return
        refuse_to_pack_ranks(cells, self.resources)
        if self.resources.gpus.kind is not None:
            raise LaunchError(
                f"GPUs of type {self.resources.gpus.kind} can be requested from SLURM only: on this machine, give a"
                " number (--gpus-per-node) or set CUDA_VISIBLE_DEVICES"
            )
        wanted, found = self.resources.gpus.count or 0, len(gpus_here())
        if wanted > found:
            raise LaunchError(f"{wanted} GPUs were requested (--gpus-per-node), but this machine has {found}")
        used = len(self._gpus)
        if used and cells_per_gpu(self.resources) > 1:
            print(f"{cells_per_gpu(self.resources)} cells on each GPU; {mps_sentence()}")
        there = f"{used} GPU{'s' * (used != 1)}"
        too_large = [
            cell for cell in cells if cell.config.training.device != "cpu" and not self._takes_gpus(cell)
        ]
        for cell in too_large:
            if cell.config.training.device == "cuda":
                raise LaunchError(
                    f"{cell.name} needs a GPU for each of its {_ranks(cell)} rank(s), but there are {there}:"
                    " use fewer ranks (--ranks), or device auto, which falls back to the CPU"
                )
        if used and too_large:
            ranks = max(map(_ranks, too_large))
            print(
                f"runs of {ranks} ranks fall back to the CPU, since there are {there}: --ranks {used} would use GPUs"
            )

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
        if not self.in_this_process:
            self.resources = without_auto(
                self.sweep,
                self.resources,
                self._place(cells),
                lambda counts: self._trials(cells, counts),
                len(cells),
            )
        self._waiting = [cell for cell in cells if not is_done(cell)]
        self._states = {cell.name: State("done" if is_done(cell) else "waiting") for cell in cells}
        self._cancelled_before = {cell.name: _times_cancelled(cell) for cell in self._waiting}

    def _place(self, cells: Sequence[Cell]) -> str:
        what = "a GPU" if any(map(self._takes_gpus, cells)) else f"{processors()} CPU(s)"
        return f"{what} of {socket.gethostname()}"

    def _trials(self, cells: Sequence[Cell], counts: Sequence[int]) -> Trials | None:
        """Try how many cells should run at once, on the first GPU or the CPUs of this machine."""
        files = [cell.config_file for cell in cells if not cell.is_trained()][: max(counts)]
        if not files:
            return None
        result = new_jobs_folder(self.sweep, "trial") / "trials.json"
        gpus = self._gpus[:1] if any(map(self._takes_gpus, cells)) else []
        arguments = json.dumps([[str(file) for file in files], str(result), list(counts)])
        subprocess.run(
            [sys.executable, "-m", "jobs.trial", arguments],
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(gpus)},
            check=False,
        )
        return Trials.read(result)

    def states(self) -> dict[str, State]:
        if self.in_this_process:
            self._run_next_here()
        else:
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

    @cached_property
    def _gpus(self) -> list[str]:
        """The GPUs to use."""
        return gpus_here()[: self.resources.gpus.count]

    def _has_room(self, ranks: int, on_gpus: bool) -> bool:
        most, sharing = self.resources.max_parallel, self.resources.cells_per_gpu
        if most is not None and (len(self._running) >= most or sharing is None):
            return len(self._running) < most
        taken = sum(entry.ranks for entry in self._running if bool(entry.gpus) == on_gpus)
        if on_gpus:
            return not taken or taken + ranks <= len(self._gpus) * cells_per_gpu(self.resources)
        return not taken or taken + ranks <= (
            processors() if sharing is None else cells_per_gpu(self.resources)
        )

    def _variables(self, on_gpus: bool) -> dict[str, str]:
        """Environment variables of a job, unless they are set: its share of the CPUs, and of a GPU."""
        sharing = cells_per_gpu(self.resources)
        alone = self.resources.cells_per_gpu is None or on_gpus
        threads = 1 if alone else max(1, processors() // sharing)
        return {
            "OMP_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "passive",
            CELLS_PER_GPU: str(sharing),
        }

    def _least_used_gpus(self, count: int) -> list[str]:
        used = Counter(gpu for entry in self._running for gpu in entry.gpus)
        return sorted(self._gpus, key=lambda gpu: used[gpu])[:count]

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
            trained, ranks = cell.is_trained(), _ranks(cell)
            if not (trained or self._trains(cell)):
                self._waiting.remove(cell)
                self._states[cell.name] = _UNTRAINED
                continue
            if trained and self._waits_for_readers(cell):
                self._states[cell.name] = _WAITS_FOR_READERS
                continue
            on_gpus = self._takes_gpus(cell)
            if not self._has_room(ranks, on_gpus):
                continue
            self._waiting.remove(cell)
            if self._is_cancelled(cell):
                self._states[cell.name] = _CANCELLED
                continue
            unit: Literal["train", "evaluate"] = "evaluate" if trained else "train"
            gpus = self._least_used_gpus(ranks) if on_gpus else []
            with holding_signals_back():
                self._running.append(
                    _Running(cell, self._start_job(cell, unit, ranks, gpus), unit, ranks, gpus)
                )
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
            environment(**self._variables(bool(gpus))),
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
        cell, retries = running.cell, self.resources.retries
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

    def _run_next_here(self) -> None:
        if not self._waiting:
            return
        # Imported here: they import torch, which a launcher that starts processes does not need.
        from jobs.evaluate import evaluate_cell
        from jobs.train import train_cell

        cell = self._waiting.pop(0)
        measures = cell.measures_config()
        try:
            if self._trains(cell):
                train_cell(cell.config_file)
            evaluate_cell(cell.config_file, take=measures.take, split=measures.split)
        except Interrupted:
            raise KeyboardInterrupt from None
        except MeasuringError as error:  # the other cells continue
            cell.give_up(str(error))
            self._states[cell.name] = failed(cell, str(error))
        else:
            self._states[cell.name] = State("done")


def _times_cancelled(cell: Cell) -> int:
    return sum(attempt.get("ended") == CANCELLED for attempt in attempts(cell))


def _ranks(cell: Cell) -> int:
    """Processes of a cell's next unit: measuring has one."""
    return 1 if cell.is_trained() else cell.config.training.ranks
