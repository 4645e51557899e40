"""Tables for the page of a sweep: its cells with their numbers, and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from jobs.outcome import attempts
from launch.sweep_page.cells import CellRead
from pipeline.cells.folder import CANCELLED, RESET
from pipeline.measures.recorded import TEST, numbers_of
from pipeline.measures.registry import MEASURES
from pipeline.pages.explored_cell import FILE as EXPLORER
from pipeline.pages.report_page import Column, Table, Value
from pipeline.reports.finished import FinishedRun
from pipeline.tracking.measured import FAILED, measure_statuses, metric_prefix

_SHOWN_METRICS = 5


def cells_table(cells: Sequence[CellRead], metrics: Sequence[str]) -> Table:
    """A row per cell; ``metrics``: those of the test split by name, those of others with their split before it."""
    columns = [
        Column(name="cell"),
        Column(name="state", kind="phase"),
        Column(name="why", kind="long", first=any(cell.state.detail for cell in cells)),
        Column(name="system"),
        Column(name="data", first=len({cell.record.data.name for cell in cells if cell.record}) > 1),
        Column(name="f", kind="number", about="supervision rate"),
        Column(name="seed", kind="number"),
        Column(name="epoch", kind="number", about="epochs trained"),
        Column(name="of", kind="number", about="epochs to train"),
        Column(name="time", kind="seconds", about="of training, without interruptions"),
        Column(name="images/s", kind="number", about="of the last epoch", first=False),
        Column(name="restarts", kind="number", about="attempts after the first one"),
        Column(name="node", first=False),
        Column(name="explorer", kind="link", about="the model in a page", first=any(map(_explorer, cells))),
        Column(name="folder", kind="link", about="checkpoints, logs, results", first=False),
    ]
    columns += [
        Column(name=name, kind="number", about=about(name), first=place < _SHOWN_METRICS)
        for place, name in enumerate(metrics)
    ]
    notes = ["time: from the first record of training to the last, gaps of more than ten minutes left out"]
    return Table(
        name="The table of cells", columns=columns, rows=[_row(c, metrics) for c in cells], notes=notes
    )


def _row(cell: CellRead, metrics: Sequence[str]) -> list[Value]:
    record, progress, state = cell.record, cell.progress, cell.state
    numbers = {} if cell.run is None else named_numbers(cell.run)
    head: list[Value] = [
        cell.folder.name,
        state.phase,
        state.detail,
        cell.system,
        "" if record is None else record.data.name,
        None if record is None else record.data.supervision_rate,
        None if record is None else record.seed,
        progress.epoch,
        progress.epochs or None,
        cell.seconds,
        progress.images_per_second,
        restarts(cell),
        state.node,
        _explorer(cell),
        f"./{quote(cell.folder.name)}/",
    ]
    return [*head, *(numbers.get(name) for name in metrics)]


def _explorer(cell: CellRead) -> str | None:
    """Its address from the page, if it is written."""
    written = (cell.folder.folder / EXPLORER).is_file()
    return f"./{quote(cell.folder.name)}/{EXPLORER}" if written else None


def named_numbers(run: FinishedRun) -> dict[str, float]:
    """Numbers of a run by name, as the columns of the sweep's table have them."""
    return {
        metric if split == TEST else f"{metric_prefix(split)}/{metric}": value
        for (split, metric), value in numbers_of(run).items()
    }


def restarts(cell: CellRead) -> int:
    """How often it was started again."""
    ended = sum(entry.get("ended") not in (RESET, CANCELLED) for entry in attempts(cell.folder))
    last = cell.state.phase in ("failed", "stopped") and ended > 0  # the last one was not followed by another
    return max(cell.state.restarts, ended - last)


def about(metric: str) -> str:
    """Its unit, and which way is better."""
    last = metric.rpartition("/")[2] if metric.rpartition("/")[2] in _METRICS else metric.partition("/")[0]
    if last not in _METRICS:
        return ""
    unit, better = _METRICS[last]
    return unit if better == "none" else f"{unit}, {better} is better"


_METRICS = {
    name: (metric.unit, metric.better) for kind in MEASURES.values() for name, metric in kind.metrics.items()
}


def failures_table(cells: Sequence[CellRead]) -> Table:
    """Cells that failed or stopped after they had begun, and measures that failed."""
    rows: list[list[Value]] = []
    for cell in cells:
        log = f"./{quote(cell.folder.name)}/log/" if (cell.folder.folder / "log").is_dir() else None
        if cell.state.phase == "failed" or (cell.state.phase == "stopped" and log is not None):
            rows.append([cell.folder.name, cell.state.phase, cell.state.detail, log])
        rows += [
            [cell.folder.name, f"measure {status.measure} on {status.split}", status.reason, log]
            for status in measure_statuses({} if cell.run is None else cell.run.tags)
            if status.status == FAILED
        ]
    columns = [
        Column(name="cell"),
        Column(name="what"),
        Column(name="why", kind="long"),
        Column(name="log", kind="link"),
    ]
    return Table(name="The table of failures", columns=columns, rows=rows)
