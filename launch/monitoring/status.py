"""The status of a sweep's cells: ``python launch/sweep.py status [SWEEP]``."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_prep.errors import LaunchError
from data_prep.program_name import program
from jobs.mps import noted_mps
from launch.clusters.slurm import queue as slurm_queue
from launch.command_line import described
from launch.former import holds_former_cells, refuse_former_cells
from launch.monitoring.named import SweepFolder, command, sweeps_in
from launch.monitoring.progress import ProgressReader
from launch.monitoring.sweep_status import SweepStatus, gone_jobs, read_status
from launch.monitoring.table import COLOURS
from launch.monitoring.watch import Watch, failures, picture

_SECONDS_BETWEEN_POLLS = 5.0
_LINES_AROUND_THE_TABLE = 5
_MOST_SENTENCES = 5


@dataclass(frozen=True, kw_only=True)
class Status:
    """Show the status of a sweep's cells: state and reason, epoch, images/s, last metric, restarts, node, time left.

    SLURM is queried once for all cells. Without SWEEP, all sweeps are listed.

    Exit status: 0 when every cell is done; 3 while something runs or waits; 1 when nothing does and a cell has failed
    or was stopped; 2 when the status cannot be determined.

    Examples:
      python launch/sweep.py status                        all sweeps in runs/
      python launch/sweep.py status fashion-mnist --watch  live, until the last cell has ended; Ctrl-C leaves the jobs alone
    """

    sweep: Annotated[str | None, described("[SWEEP]"), tyro.conf.Positional] = None
    """name of the sweep, or its folder (default: list all sweeps)"""
    runs: Path = Path("runs")
    """folder of the sweeps"""
    watch: bool = False
    """refresh every few seconds until nothing of the sweep runs or waits"""
    all: bool = False
    """show a row for every cell, even if they do not fit on the terminal"""


def status(options: Status) -> int:
    """Show a sweep, or all of them; returns the exit status."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=180)  # in a file or a pipe, nothing needs to be truncated
    if options.sweep is None:
        if options.watch:
            raise LaunchError("--watch needs the name of a sweep")
        return _list(options.runs, console)
    sweep = SweepFolder.named(options.sweep, options.runs)
    refuse_former_cells(sweep)
    if options.watch:
        return watch(sweep, console)
    seen = read_status(sweep)
    everything = options.all or not console.is_terminal
    sentences = failures(seen.states, sweep.cells)
    shown = sentences if everything else sentences[:_MOST_SENTENCES]
    note = _note(sweep, seen)
    room = console.height - _LINES_AROUND_THE_TABLE - 2 * len(shown) - 2 * bool(note)
    console.print(
        picture(
            sweep.cells,
            seen.states,
            ProgressReader(),
            console.width,
            len(sweep.cells) if everything else room,
            note,
        )
    )
    for line in shown:
        console.print(escape(line), style="red", soft_wrap=True, highlight=False)
    if sentences:
        more = (
            f"{len(sentences) - len(shown)} more (--all shows them); " if len(shown) < len(sentences) else ""
        )
        console.print(
            f"{more}to start the failed cells again: {command('retry', sweep)}",
            soft_wrap=True,
            highlight=False,
        )
    return seen.exit_status


def also_in_queue(seen: SweepStatus) -> str:
    """The jobs of a sweep that belong to no cell, in one line; empty if there are none."""
    parts = []
    for stage, jobs in seen.others.items():
        counts = Counter(job.explanation or "running" for job in jobs)
        said = ", ".join(f"{count} {why}" if len(jobs) > 1 else why for why, count in counts.items())
        parts.append(f"{stage}: {said}")
    return "; ".join(parts)


def _note(sweep: SweepFolder, seen: SweepStatus) -> str:
    return "; ".join(filter(None, (also_in_queue(seen), noted_mps(sweep.path))))


def watch(sweep: SweepFolder, console: Console) -> int:
    """Show a sweep until nothing of it runs or waits; returns the exit status."""
    seen = read_status(sweep)
    note = ""
    try:
        with Watch(sweep.cells, console) as shown:
            while True:
                shown.show(seen.states, note or _note(sweep, seen))
                if seen.exit_status != 3:
                    break
                time.sleep(_SECONDS_BETWEEN_POLLS)
                try:
                    seen, note = read_status(sweep), ""
                except LaunchError as error:  # SLURM's controller may be down for a while
                    note = f"{error}; showing the last known state"
    except KeyboardInterrupt:
        print(
            f"the jobs continue\nto return: {command('status', sweep)} --watch\nto cancel: {command('cancel', sweep)}"
        )
        return seen.exit_status
    for line in failures(seen.states, sweep.cells):
        print(line)
    return seen.exit_status


def _list(runs: Path, console: Console) -> int:
    """The sweeps with the number of their cells in each phase; one ``squeue`` call if any used SLURM."""
    sweeps = sweeps_in(runs)
    if not sweeps:
        raise LaunchError(f"there are no sweeps in {runs}; --runs selects another folder")
    former = [sweep.path.name for sweep in sweeps if holds_former_cells(sweep)]
    sweeps = [sweep for sweep in sweeps if sweep.path.name not in former]
    queue: dict[str, slurm_queue.QueuedJob] = {}
    note = ""
    if any(sweep.is_on_slurm for sweep in sweeps):
        try:
            queue = slurm_queue.queued(comment="traitvae/")
        except LaunchError as error:
            note = f"{error}; its waiting and running cells are shown as stopped"
    accounts = slurm_queue.ended(job for sweep in sweeps for job in gone_jobs(sweep, queue))
    looks = {sweep.path.name: read_status(sweep, queue, accounts) for sweep in sweeps}
    phases = [
        phase
        for phase in COLOURS
        if any(s.phase == phase for seen in looks.values() for s in seen.states.values())
    ]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("sweep")
    for name in ("cells", *phases):
        table.add_column(name, justify="right")
    for name, seen in looks.items():
        counts = Counter(state.phase for state in seen.states.values())
        table.add_row(escape(name), str(len(seen.states)), *(str(counts[phase] or "") for phase in phases))
    if looks:
        console.print(table)
    if former:
        names = ", ".join(former)
        note += (
            f"{'; ' * bool(note)}made by an earlier version, until {program('sweep')} upgrade SWEEP: {names}"
        )
    if note:
        console.print(escape(note), soft_wrap=True)
    found = {seen.exit_status for seen in looks.values()} | ({2} if former else set())
    return 3 if 3 in found else max(found)
