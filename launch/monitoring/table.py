"""The table of a sweep's cells, made to fit: the columns a terminal is wide enough for, the rows it is high enough for."""

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
"""Colour of each phase; the order is the one in which cells are shown where not all have room."""
AT_WORK = ("training", "measuring")

_BAR_WIDTH = 16
_LEAST_DETAIL = 16
_GOOD_DETAIL = 36
"""Where the reasons cannot have this width beside whole names, the names go without their hash."""
_LEAST_METRIC = 12
_DROPPED_FIRST = ("bar", "left", "restarts", "node", "images/s", "metric", "epoch")
"""Columns that a narrow terminal goes without, in this order."""


@dataclass(frozen=True, slots=True)
class Row:
    """A cell in the table."""

    name: str
    state: State
    progress: Progress


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    text: Callable[[Row], str]
    right: bool = False
    flexible: int | None = None
    """Least width of a column whose text may be cut; None for one that is shown whole or not at all."""
    in_words: str = "{}"
    """What it says of a cell that has no sentence to show, where the column itself has no room."""


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
    _Column("", lambda row: row.state.detail, flexible=_LEAST_DETAIL),
)


def sweep_table(rows: Sequence[Row], width: int) -> Table:
    """The rows in ``width`` characters: one line each, without the columns that nobody fills or that have no room."""
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
            # The sentences get what the other columns leave.
            ratio=1 if last else None,
            min_width=min(details, _LEAST_DETAIL) if last else None,
        )
    if columns[-1].heading == "":
        table.width = width if details > last_width else width - last_width + details
    for row, name in zip(rows, names, strict=True):
        table.add_row(*(_shown(column, row, name, columns) for column in columns))
    return table


def _detail(row: Row, columns: Sequence[_Column]) -> str:
    """The cell's sentence, or what the columns that had no room would say of it."""
    if row.state.detail:
        return row.state.detail
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
    """The columns that have room, the cells' names (whole ones if there is room), and the widths of metric and sentence."""
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
    """The names without the hash at their end, where they can be told apart without it."""
    short = [name.rpartition("-")[0] or name for name in names]
    counts = Counter(short)
    return [cut if counts[cut] == 1 else name for cut, name in zip(short, names, strict=True)]


def chosen(states: Mapping[str, State], room: int) -> list[str]:
    """The names of the cells that are shown where only ``room`` rows have room, in the order of ``states``.

    Cells at work and failed ones come first; neither takes more than half of the room from the other.
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
    """One line: how many cells stand where."""
    counts = Counter(state.phase for state in states.values())
    return ", ".join(f"{counts[phase]} {phase}" for phase in COLOURS if counts[phase])


def rest_line(states: Mapping[str, State], shown: Sequence[str]) -> str:
    """What is known of the cells that have no row: how many, where they stand, why most of them wait; empty if all have."""
    hidden = {name: states[name] for name in states.keys() - set(shown)}
    if not hidden:
        return ""
    reasons = Counter(state.detail for state in hidden.values() if state.phase == "waiting" and state.detail)
    why = f"; most of them wait because: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"and {len(hidden)} more: {summary(hidden)}{why}"
