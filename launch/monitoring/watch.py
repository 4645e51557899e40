"""A live table of a sweep's cells on a terminal, a line per change elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from data_prep.counted import counted
from launch.clusters.backend import State
from launch.monitoring.progress import Progress, ProgressReader
from launch.monitoring.table import Row, chosen, rest_line, summary, sweep_table
from pipeline.cells.folder import CellFolder

_MANY = 20
"""With more cells than this, a line is printed per tenth of a run instead of per epoch."""
_OTHER_LINES = 4
"""Heading, the line about the rest, the summary, and an empty one below."""

__all__ = ["Watch", "failures", "picture", "summary"]


class Watch:
    """Shows the states of cells; a context manager for the time they run."""

    def __init__(self, cells: Sequence[CellFolder], console: Console | None = None) -> None:
        self._cells = list(cells)
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._reader = ProgressReader()
        self._told: dict[str, tuple[object, ...]] = {}
        self._note = ""

    def __enter__(self) -> Watch:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, states: Mapping[str, State], note: str = "") -> None:
        """Show the current states, and a note (such as that SLURM does not answer)."""
        if self._live is not None:
            room = self._console.height - _OTHER_LINES - bool(note)
            self._live.update(
                picture(self._cells, states, self._reader, self._console.width, room, note), refresh=True
            )
            return
        if note and note != self._note:
            print(note, flush=True)
        self._note = note
        for cell in self._cells:
            self._print_change(cell, states[cell.name])

    def _print_change(self, cell: CellFolder, state: State) -> None:
        """Print a line for the cell if there is something new."""
        progress = self._reader.read(cell) if state.phase == "training" else Progress()
        now = (state.phase, state.detail, state.node, state.restarts, self._part(progress))
        if self._told.get(cell.name) == now:
            return
        self._told[cell.name] = now
        words = [cell.name, state.phase]
        if state.phase == "training" and progress.epochs:
            words.append(f"epoch {progress.epoch:.0f}/{progress.epochs}")
        if state.node:
            words.append(f"on {state.node}")
        if state.restarts:
            words.append(f"restarts {state.restarts}")
        print("  ".join([*words, state.detail] if state.detail else words), flush=True)

    def _part(self, progress: Progress) -> int:
        if len(self._cells) <= _MANY or not progress.epochs:
            return int(progress.epoch)
        return int(10 * progress.epoch / progress.epochs)


def picture(
    cells: Sequence[CellFolder],
    states: Mapping[str, State],
    reader: ProgressReader,
    width: int,
    room: int,
    note: str = "",
) -> Group:
    """The table of at most ``room`` cells (at least 3) in ``width`` characters, a summary of the others, and the counts."""
    states = {cell.name: states[cell.name] for cell in cells}
    shown = chosen(states, max(3, room))
    folders = {cell.name: cell for cell in cells}
    rows = [Row(name, states[name], _progress(folders[name], states[name], reader)) for name in shown]
    lines = [
        rest_line(states, shown),
        f"{counted(len(states), 'cell')}: {summary(states)}",
        note,
    ]
    return Group(
        sweep_table(rows, width),
        *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines if line),
    )


def _progress(cell: CellFolder, state: State, reader: ProgressReader) -> Progress:
    progress = reader.read(cell)
    return progress if state.phase != "waiting" or progress.epoch else Progress(progress.epochs)


def failures(states: Mapping[str, State], cells: Sequence[CellFolder]) -> list[str]:
    """A line for each failed cell: its message, and where its logs are."""
    return [
        f"{cell.name} failed: {states[cell.name].detail} (logs: {cell.folder / 'log'})"
        for cell in cells
        if states[cell.name].phase == "failed"
    ]
