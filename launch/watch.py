"""A live table of a sweep's cells on a terminal, a line per change elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from launch.clusters.backend import State
from pipeline.cell import Cell

_TAIL_BYTES = 8192
_COLOURS = {"waiting": "dim", "training": "cyan", "measuring": "blue", "done": "green", "failed": "red"}


@dataclass(frozen=True, slots=True)
class Progress:
    """What the newest record of a cell says."""

    epoch: float = 0.0
    objective: float | None = None
    images_per_second: float | None = None


def progress_of(cell: Cell) -> Progress:
    """Read the end of a cell's ``metrics.jsonl``."""
    try:
        with (cell.folder / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return Progress()
    newest = Progress()
    for line in lines:
        try:
            point = json.loads(line)
        except ValueError:  # the first line may be cut, the last one half written
            continue
        if point.get("kind") in ("train", "epoch"):
            found = point["metrics"]
            speed = found.get("images_per_second", newest.images_per_second)
            newest = Progress(found["epoch"], found.get("objective"), speed)
    return newest


class Watch:
    """Shows the states of cells; a context manager around the time they run."""

    def __init__(self, cells: list[Cell]) -> None:
        self._cells = cells
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._shown: dict[str, tuple[str, str, int]] = {}

    def __enter__(self) -> Watch:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, states: Mapping[str, State]) -> None:
        """Show where the cells stand now."""
        if self._live is not None:
            self._live.update(self._table(states), refresh=True)
            return
        for cell in self._cells:
            state, progress = states[cell.name], progress_of(cell)
            now = (state.phase, state.detail, int(progress.epoch))
            if self._shown.get(cell.name) != now:
                self._shown[cell.name] = now
                epochs = f"epoch {progress.epoch:.0f}/{cell.config.training.epochs}"
                words = [
                    cell.name,
                    state.phase,
                    *([epochs] if state.phase == "training" else []),
                    state.detail,
                ]
                print("  ".join(filter(None, words)), flush=True)

    def _table(self, states: Mapping[str, State]) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("cell", "state", "progress", "epoch", "objective", "images/s", ""):
            table.add_column(
                name,
                no_wrap=name != "",
                justify="right" if name in ("epoch", "objective", "images/s") else "left",
            )
        for cell in self._cells:
            state, progress = states[cell.name], progress_of(cell)
            epochs = cell.config.training.epochs
            table.add_row(
                cell.name,
                f"[{_COLOURS[state.phase]}]{state.phase}[/]",
                ProgressBar(total=epochs, completed=progress.epoch, width=20),
                f"{progress.epoch:.1f}/{epochs}",
                "" if progress.objective is None else f"{progress.objective:.1f}",
                "" if progress.images_per_second is None else f"{progress.images_per_second:,.0f}",
                state.detail,
            )
        return table


def summary(states: Mapping[str, State]) -> str:
    """One line: how many cells stand where."""
    counts = {phase: sum(state.phase == phase for state in states.values()) for phase in _COLOURS}
    return ", ".join(f"{count} {phase}" for phase, count in counts.items() if count)


def failures(states: Mapping[str, State], sweep: Path) -> list[str]:
    """A line for each failed cell: what it said, and where its logs are."""
    return [
        f"{name} failed: {state.detail} (logs: {sweep / name / 'log'})"
        for name, state in states.items()
        if state.phase == "failed"
    ]
