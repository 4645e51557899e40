"""The status of a cell, from its folder alone; without importing torch."""

from __future__ import annotations

import time
from pathlib import Path

from data_prep.counted import counted
from data_prep.errors import ConfigError
from jobs.outcome import Outcome
from launch.clusters.backend import State
from pipeline.cells.folder import CellFolder
from pipeline.cells.lease import Holder, is_running
from pipeline.cells.measurements import BEGUN_FILE, MEASURES_FOLDER
from pipeline.measures.plan import is_done, planned, unsettled


def folder_state(cell: CellFolder) -> State:
    """The status of a cell without SLURM jobs."""
    if is_running(cell.folder):
        holder = Holder.read(cell.folder)
        if holder is None:
            return State("training")
        attempt = holder.attempt
        where = "" if attempt.job else f"process {attempt.pid}"
        if holder.unit == "evaluate":
            return State("measuring", where, attempt.host, measure=being_measured(cell))
        return State("training", where, attempt.host)
    sentence = cell.failed()
    if sentence is not None:
        return failed(cell, sentence)
    if is_done(cell):
        return State("done")
    outcome = Outcome.read(cell.folder)
    if outcome is not None and outcome.outcome != "interrupted":
        return failed(cell, outcome.sentence)
    if outcome is not None:
        return State("stopped", outcome.sentence)
    if cell.is_trained():
        return State("stopped", to_compute(cell))
    holder = Holder.read(cell.folder)
    if holder is None:
        return State("stopped", "not started")
    return State("stopped", f"exited without an error message (killed, or {holder.attempt.host} was lost)")


def being_measured(cell: CellFolder) -> str:
    """Which measure a running cell is at and for how long, and how many of its own it has."""
    begun = {file: modified(file) for file in (cell.folder / MEASURES_FOLDER).glob(f"*/{BEGUN_FILE}")}
    said = []
    if begun:
        newest = max(begun, key=lambda file: begun[file])
        seconds = max(0, round(time.time() - begun[newest]))
        said.append(f"{newest.parent.name.rpartition('-')[0]} for {seconds} s")
    try:
        wanted, left = planned(cell.measures_config()), unsettled(cell)
    except ConfigError:
        return "".join(said)
    if left:  # otherwise it is measured with others than its own
        said.append(f"{len(wanted) - len(left)} of {counted(len(wanted), 'measure')} done")
    return ", ".join(said)


def modified(file: Path) -> float:
    """When it was; 0 if it is gone by now."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def failed(cell: CellFolder, sentence: str) -> State:
    """The status of a cell that was given up; for a trained one, it says that only measures are missing."""
    return State("failed", f"trained; {sentence}" if cell.is_trained() else sentence)


def to_compute(cell: CellFolder) -> str:
    """How many measures a trained cell lacks."""
    try:
        wanted, left = planned(cell.measures_config()), unsettled(cell)
    except ConfigError as error:
        return str(error)
    return f"trained, {len(left)} of {counted(len(wanted), 'measure')} to compute"
