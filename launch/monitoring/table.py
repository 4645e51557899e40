"""The table of a sweep's cells, fitted to the terminal: columns to its width, rows to its height."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from launch.clusters.backend import Phase, State
from launch.monitoring.progress import Progress

COLOURS: dict[Phase, str] = {
    "training": "cyan",
    "measuring": "blue",
    "failed": "red",
    "stopped": "yellow",
    "waiting": "dim",
    "done": "green",
}
"""Colour of each phase, in the order in which cells are shown if not all fit."""
AT_WORK = ("training", "measuring")

_BAR_WIDTH = 16
_LEAST_DETAIL = 16
_GOOD_DETAIL = 36
"""If reasons do not get this width next to full names, the names are shown without their hash."""
_LEAST_METRIC = 12
_DROPPED_FIRST = ("bar", "left", "restarts", "node", "images/s", "metric", "epoch")
"""Columns that are dropped on a narrow terminal, in this order."""


@dataclass(frozen=True, slots=True)
class Row:
    """A cell in the table."""

    name: str
    state: State
    progress: Progress

    @property
    def sentence(self) -> str:
        """The measure that it is at, and what its state says."""
        return ", ".join(filter(None, (self.state.measure, self.state.detail)))


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    text: Callable[[Row], str]
    right: bool = False
    flexible: int | None = None
    """Minimum width of a column that may be truncated; None for one that is shown in full or not at all."""
    in_words: str = "{}"
    """Its text in the sentence of a cell without one, if the column itself is dropped."""


def _epoch(row: Row) -> str:
    return f"{row.progress.epoch:.4g}/{row.progress.epochs}" if row.progress.epochs else ""


def _metric(row: Row) -> str:
    return "" if row.progress.metric is None else f"{row.progress.metric[1]:.5g} {row.progress.metric[0]}"


def _speed(row: Row) -> str:
    speed = row.progress.images_per_second
    return "" if speed is None or row.state.phase != "training" else f"{speed:,.0f}"


_COLUMNS = (
    _Column("cell", lambda row: row.name),
    _Column("state", lambda row: row.state.phase),
    _Column("epoch", _epoch, right=True),
    _Column("bar", lambda row: " " * _BAR_WIDTH if row.progress.epochs else ""),
    _Column("images/s", _speed, right=True, in_words="{} images/s"),
    _Column("metric", _metric, flexible=_LEAST_METRIC),
    _Column("restarts", lambda row: str(row.state.restarts or ""), right=True, in_words="restarts {}"),
    _Column("node", lambda row: row.state.node, in_words="on {}"),
    _Column("left", lambda row: row.state.time_left, right=True, in_words="{} left"),
    _Column("", lambda row: row.sentence, flexible=_LEAST_DETAIL),
)


def sweep_table(rows: Sequence[Row], width: int) -> Table:
    """The rows in ``width`` characters: one line each, without empty columns and those that do not fit."""
    short = short_names([row.name for row in rows])
    columns, names, metric_width, last_width = _fitting(rows, short, width)
    details = max((len(_detail(row, columns)) for row in rows), default=0)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        last = column.heading == ""
        table.add_column(
            "" if column.heading == "bar" else column.heading,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=metric_width if column.heading == "metric" else None,
            # The sentences get the remaining width.
            ratio=1 if last else None,
            min_width=min(details, _LEAST_DETAIL) if last else None,
        )
    if columns[-1].heading == "":
        table.width = width if details > last_width else width - last_width + details
    for row, name in zip(rows, names, strict=True):
        table.add_row(*(_shown(column, row, name, columns) for column in columns))
    return table


def _detail(row: Row, columns: Sequence[_Column]) -> str:
    """The cell's sentence, or the texts of the dropped columns."""
    if row.sentence:
        return row.sentence
    left_out = [
        column for column in _COLUMNS if column not in columns and column.heading not in ("bar", "epoch")
    ]
    return ", ".join(column.in_words.format(text) for column in left_out if (text := column.text(row)))


def _shown(column: _Column, row: Row, name: str, columns: Sequence[_Column]) -> RenderableType:
    if column.heading == "cell":
        return Text(name)
    if column.heading == "state":
        return Text(row.state.phase, style=COLOURS[row.state.phase])
    if column.heading == "bar" and row.progress.epochs:
        return ProgressBar(total=row.progress.epochs, completed=row.progress.epoch, width=_BAR_WIDTH)
    text = column.text(row) if column.heading else _detail(row, columns)
    return Text(" ".join(text.split()))


def _fitting(rows: Sequence[Row], short: list[str], width: int) -> tuple[list[_Column], list[str], int, int]:
    """The columns that fit, the cells' names (in full if they fit), and the widths of metric and sentence."""
    filled = [column for column in _COLUMNS if any(column.text(row) for row in rows) or not column.heading]
    needed = {
        column.heading: max(
            [len(column.heading) * (column.heading != "bar"), *(len(column.text(row)) for row in rows)]
        )
        for column in filled
    }
    for dropped in range(-1, len(_DROPPED_FIRST) + 1):
        columns = [column for column in filled if column.heading not in _DROPPED_FIRST[: max(0, dropped)]]
        if dropped <= 1 and not needed[""]:
            columns.pop()
        names = short if dropped >= 0 else [row.name for row in rows]
        least = sum(
            max(map(len, names), default=0)
            if column.heading == "cell"
            else min(needed[column.heading], column.flexible or needed[column.heading])
            for column in columns
        )
        for_reasons = min(needed[""], _GOOD_DETAIL) - min(needed[""], _LEAST_DETAIL)
        free = width - least - 2 * len(columns)
        if free >= (for_reasons if dropped < 0 else 0):
            break
    metric = min(needed.get("metric", 0), _LEAST_METRIC + max(0, free - for_reasons))
    taken_by_metric = max(0, metric - _LEAST_METRIC) if "metric" in needed else 0
    return columns, names, metric, min(needed[""], _LEAST_DETAIL) + max(0, free - taken_by_metric)


def short_names(names: Sequence[str]) -> list[str]:
    """The names without the hash at the end, if they are distinct without it."""
    short = [name.rpartition("-")[0] or name for name in names]
    counts = Counter(short)
    return [cut if counts[cut] == 1 else name for cut, name in zip(short, names, strict=True)]


def chosen(states: Mapping[str, State], room: int) -> list[str]:
    """The names of the cells to show if only ``room`` rows fit, in the order of ``states``.

    Running and failed cells come first; neither takes more than half of the rows from the other.
    """
    if len(states) <= room:
        return list(states)
    groups: dict[str, list[str]] = {phase: [] for phase in COLOURS}
    for name, state in states.items():
        groups[state.phase].append(name)
    working = [name for phase in AT_WORK for name in groups[phase]]
    failed = groups["failed"]
    for_failed = min(len(failed), max(room // 2, room - len(working)))
    first = working[: room - for_failed] + failed[:for_failed]
    rest = [name for phase in ("stopped", "waiting", "done") for name in groups[phase]]
    taken = set((first + rest)[:room])
    return [name for name in states if name in taken]


def summary(states: Mapping[str, State]) -> str:
    """One line: the number of cells in each phase."""
    counts = Counter(state.phase for state in states.values())
    return ", ".join(f"{counts[phase]} {phase}" for phase in COLOURS if counts[phase])


def rest_line(states: Mapping[str, State], shown: Sequence[str]) -> str:
    """A summary of the cells without a row: their number, phases, and why most of them wait; empty if there are none."""
    hidden = {name: states[name] for name in states.keys() - set(shown)}
    if not hidden:
        return ""
    reasons = Counter(state.detail for state in hidden.values() if state.phase == "waiting" and state.detail)
    why = f"; most of them wait because: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"and {len(hidden)} more: {summary(hidden)}{why}"
