"""Cells one after another in this process, for a debugger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from data_prep.errors import Interrupted, MeasuringError
from launch.clusters.backend import State
from launch.clusters.capacity import Capacity
from launch.clusters.folder_state import failed
from launch.clusters.resources import Resources
from launch.plan import NeededData
from launch.readers import ReaderSweep
from pipeline.cell import Cell
from pipeline.measures.plan import is_done


class InProcessBackend:
    """Each look at the states runs one cell."""

    def __init__(self, resources: Resources) -> None:
        self.capacity = Capacity(resources)
        self._states: dict[str, State] = {}
        self._waiting: list[Cell] = []
        self._trained_here: set[str] = set()

    def describe(
        self, cells: Sequence[Cell], data: Sequence[NeededData], readers: Sequence[Cell] = ()
    ) -> str:
        return "one cell after another, in this process"

    def check(
        self, cells: Sequence[Cell], data: Sequence[NeededData], tracking: str, *, thorough: bool
    ) -> None:
        """Nothing: there is one rank, which takes what there is."""

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
        of_readers = [reader for sweep in readers for reader in sweep.cells]
        every = [*of_readers, *cells]
        self._trained_here = {cell.name for cell in (every if train else of_readers)}
        self._waiting = [cell for cell in every if not is_done(cell)]
        self._states = {cell.name: State("done" if is_done(cell) else "waiting") for cell in every}

    def states(self) -> dict[str, State]:
        if self._waiting:
            self._run(self._waiting.pop(0))
        return self._states

    def is_closing(self) -> bool:
        return False

    def interrupt(self, again: bool) -> str:
        return "stopped; run the same command to resume from the checkpoints"

    def _run(self, cell: Cell) -> None:
        # Imported here: they import torch, which a launcher that starts processes does not need.
        from jobs.evaluate import evaluate_cell
        from jobs.train import SECONDS_TO_THE_FIRST_UPLOAD, train_cell
        from pipeline.training.interruption import stop_requests

        measures = cell.measures_config()
        with stop_requests() as stop:
            try:
                if cell.name in self._trained_here:
                    train_cell(cell.config_file, patience_s=SECONDS_TO_THE_FIRST_UPLOAD)
                evaluate_cell(cell.config_file, take=measures.take, split=measures.split)
            except Interrupted:
                raise KeyboardInterrupt from None
            except MeasuringError as error:  # the other cells continue
                cell.give_up(str(error))
                self._states[cell.name] = failed(cell, str(error))
            else:
                self._states[cell.name] = State("done")
        if stop.requested:  # after the cell had last looked
            raise KeyboardInterrupt
