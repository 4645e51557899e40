"""Progress of a long job: a bar on a terminal, plain lines elsewhere, nothing where it was not requested."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Reports steps of known length on stderr.

    >>> with Progress(shown=True) as progress:
    ...     progress.begin("shards", total=10)
    ...     progress.advance()
    """

    def __init__(self, *, shown: bool, lines: bool = False) -> None:
        """``lines``: plain lines on a terminal too, for a step inside of another one, whose bar stays below them."""
        self._shown = shown
        self._bar: RichProgress | None = None
        if shown and not lines and sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            self._bar = RichProgress(*columns, console=Console(stderr=True))
        self._task: TaskID | None = None
        self._description, self._done, self._total, self._last_line = "", 0, 0, 0.0

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Print one line that stays on the screen."""
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        elif self._shown:
            print(line, file=sys.stderr, flush=True)

    def begin(self, description: str, total: int, done: int = 0) -> None:
        """Begin a step of ``total`` units, of which ``done`` were finished already."""
        self._description, self._done, self._total, self._last_line = (
            description,
            done,
            total,
            time.monotonic(),
        )
        if self._bar is not None:
            self._task = self._bar.add_task(description, total=total, completed=done)
        elif self._shown:
            print(f"{description}: {done} of {total}", file=sys.stderr, flush=True)

    def advance(self, units: int = 1) -> None:
        """``units`` more of the current step are done."""
        self._done += units
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, units)
        elif self._shown and self._line_is_due():
            print(f"{self._description}: {self._done} of {self._total}", file=sys.stderr, flush=True)

    def _line_is_due(self) -> bool:
        now = time.monotonic()
        if self._done < self._total and now - self._last_line < _SECONDS_BETWEEN_LINES:
            return False
        self._last_line = now
        return True
