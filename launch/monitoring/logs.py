"""The logs of a cell's ranks, optionally followed as they grow: ``python launch/sweep.py logs SWEEP CELL --follow``."""

from __future__ import annotations

import codecs
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from data_prep.errors import LaunchError
from jobs.pack import output_file
from launch.clusters.backend import State
from launch.clusters.slurm.register import Register
from launch.command_line import described
from launch.monitoring.named import CellName, SweepFolder, SweepName
from launch.monitoring.sweep_status import read_status
from pipeline.cells.folder import CellFolder

UNITS = ("train", "evaluate")
_SECONDS_BETWEEN_READS = 0.5
_SECONDS_BETWEEN_POLLS = {"slurm": 5.0, "here": 1.0}
_AT_REST = ("done", "failed", "stopped")


@dataclass(frozen=True, kw_only=True)
class Logs:
    """Print a cell's log, and with --follow its further output, across restarts, until it has ended."""

    sweep: SweepName
    """name of the sweep, or its folder"""
    cell: CellName
    """name of the cell, or an unambiguous part of it"""
    follow: bool = False
    """follow the log until the cell is done, has failed or was stopped"""
    rank: int = 0
    """rank whose log to show"""
    unit: Annotated[Literal["train", "evaluate"] | None, described("{train,evaluate}")] = None
    """only its training, or only its measuring"""
    runs: Path = Path("runs")
    """folder of the sweeps"""


class Tail:
    """Reads a growing file incrementally; a truncated one is read from its beginning."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0
        # The end of the file may split a multi-byte character.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def new(self) -> str:
        """The text added since the last call; empty while the file does not exist."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._start:
                    self._start = 0
                    self._decoder.reset()
                file.seek(self._start)
                found = file.read()
        except FileNotFoundError:
            return ""
        self._start += len(found)
        return self._decoder.decode(found)


def show_logs(options: Logs) -> int:
    """Print or follow a cell's logs; returns the exit status."""
    if options.rank < 0:
        raise LaunchError(f"rank is {options.rank}; it must be 0 or above")
    sweep = SweepFolder.named(options.sweep, options.runs)
    cell = sweep.cell(options.cell)
    units = (options.unit,) if options.unit else UNITS
    if not options.follow:
        show(sweep, cell, units, options.rank, lambda: read_status(sweep).states[cell.name])
        return 0
    pause = _SECONDS_BETWEEN_POLLS["slurm" if sweep.is_on_slurm else "here"]
    try:
        end = follow(sweep, cell, units, options.rank, lambda: read_status(sweep).states[cell.name], pause)
    except KeyboardInterrupt:
        return 130
    return 0 if end.phase == "done" else 1


def log_files(sweep: SweepFolder, cell: CellFolder, units: Sequence[str], rank: int) -> list[Path]:
    """The existing logs of a rank, training first; the jobs' stderr if the cell has no log yet."""
    own = [path for unit in units if (path := cell.log_file(unit, rank)).is_file() and path.stat().st_size]
    if own or not sweep.is_on_slurm:
        return own
    register = Register(sweep.path)
    found = [path for unit in units if (path := output_file(cell, unit)).is_file() and path.stat().st_size]
    for unit in units:
        submission = register.newest(unit, cell.name)
        job = submission.job_of(cell.name) if submission is not None else None
        if submission is not None and job is not None:
            found += [
                path
                for path in sorted(Path(submission.folder).glob(f"{job}_{rank}_log.err"))
                if path.stat().st_size
            ]
    return found


def show(
    sweep: SweepFolder, cell: CellFolder, units: Sequence[str], rank: int, state_of: Callable[[], State]
) -> None:
    """Print the logs of a rank; LaunchError if there is none."""
    files = log_files(sweep, cell, units, rank)
    if not files:
        state = state_of()
        why = f"{state.phase}: {state.detail}" if state.detail else state.phase
        which = f"rank {rank} of {cell.name}" if rank else cell.name
        raise LaunchError(f"{which} has no log yet ({why})")
    tails: dict[Path, Tail] = {}
    _print_new(files, tails, headings=len(files) > 1)


def follow(
    sweep: SweepFolder,
    cell: CellFolder,
    units: Sequence[str],
    rank: int,
    state_of: Callable[[], State],
    seconds_between_polls: float,
) -> State:
    """Print the logs as they grow, across restarts and from training to measuring, until the cell has ended."""
    tails: dict[Path, Tail] = {}
    printed: State | None = None
    next_look = 0.0
    while True:
        if time.monotonic() >= next_look:
            state = state_of()
            next_look = time.monotonic() + seconds_between_polls
            if printed is None or (state.phase, state.detail) != (printed.phase, printed.detail):
                printed = state
                detail = f" ({state.detail})" if state.detail else ""
                print(f"[{cell.name} is {state.phase}{detail}]", file=sys.stderr, flush=True)
        _print_new(log_files(sweep, cell, units, rank), tails, headings=True)
        if state.phase in _AT_REST:
            return state
        time.sleep(_SECONDS_BETWEEN_READS)


def _print_new(files: Sequence[Path], tails: dict[Path, Tail], *, headings: bool) -> None:
    for path in files:
        new = path not in tails
        text = tails.setdefault(path, Tail(path)).new()
        if new and headings:
            print(f"==> {path} <==")
        if text:
            print(text, end="", flush=True)
