"""The cells of a sweep for its page: state, progress, measures, learning curves, and what failed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from urllib.parse import quote

from jobs.outcome import attempts
from launch.clusters.backend import State
from launch.monitoring.progress import Progress, progress_of
from pipeline.cells.folder import CANCELLED, RESET, CellFolder
from pipeline.cells.record import RunRecord
from pipeline.measures.recorded import TEST, numbers_of
from pipeline.measures.registry import MEASURES
from pipeline.measures.summary import INCIDENTAL, LABEL_SEED
from pipeline.pages.explored_cell import FILE as EXPLORER
from pipeline.pages.report_page import Column, Table, Value
from pipeline.pages.thinned import Curve
from pipeline.reports.finished import FinishedRun
from pipeline.tracking.measured import FAILED, measure_statuses, metric_prefix
from pipeline.tracking.metric_log import Point, read_points
from pipeline.tracking.state import METRICS_FILE

LONGEST_GAP_S = 600
"""Between two records of a run that was at work; longer ones are interruptions, and not counted."""
_FEWEST_EPOCHS = 12
"""With fewer, curves are of the records between epochs."""
_NO_TERMS = ("epoch",)
_SHOWN_METRICS = 5
_SEEDS = {"seed", LABEL_SEED, "data.folder"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CellRead:
    """A cell as the page needs it."""

    folder: CellFolder
    state: State
    record: RunRecord | None
    """None if its configuration cannot be read."""
    run: FinishedRun | None
    """None until it is trained."""
    progress: Progress
    seconds: float | None
    """Of training, without interruptions; None without records."""
    curve: tuple[list[float], dict[str, list[float]]]
    """Epochs, and the terms at each."""


def read_cell(folder: CellFolder, state: State, run: FinishedRun | None) -> CellRead:
    """Read a cell's folder."""
    file, record = folder.folder / METRICS_FILE, folder.record()
    points = list(read_points(file)) if file.is_file() else []
    own = [point for point in points if point.kind in ("train", "epoch")]
    return CellRead(
        folder=folder,
        state=state,
        record=record,
        run=run,
        progress=progress_of(own, 0 if record is None else record.training.epochs),
        seconds=_seconds(points, own),
        curve=_curve(own),
    )


def _seconds(points: Sequence[Point], own: Sequence[Point]) -> float | None:
    """From the first record to the last one of training."""
    if not own:
        return None
    end = own[-1].time_ms
    times = sorted(point.time_ms for point in points if point.time_ms <= end)
    gaps = [(after - before) / 1000 for before, after in pairwise(times)]
    return sum(gap for gap in gaps if gap <= LONGEST_GAP_S)


def _curve(own: Sequence[Point]) -> tuple[list[float], dict[str, list[float]]]:
    of_epochs = [point for point in own if point.kind == "epoch"]
    chosen = of_epochs if len(of_epochs) >= _FEWEST_EPOCHS else [p for p in own if p.kind == "train"]
    chosen = chosen or of_epochs
    names = dict.fromkeys(name for point in chosen for name in point.metrics if name not in _NO_TERMS)
    epochs = [point.metrics.get("epoch", float(point.step)) for point in chosen]
    return epochs, {name: [point.metrics.get(name, math.nan) for point in chosen] for name in names}


def curves_of(cells: Sequence[CellRead]) -> tuple[list[str], list[Curve]]:
    """The learning curves, and the names of the groups of runs that differ in their seeds only."""
    keys = {cell.folder.name: _settings(cell) for cell in cells if cell.curve[0]}
    names = _names(list(dict.fromkeys(tuple(sorted(key.items())) for key in keys.values())))
    groups = list(names)
    curves = [
        Curve(
            cell=cell.folder.name,
            group=groups.index(tuple(sorted(keys[cell.folder.name].items()))),
            epochs=cell.curve[0],
            terms=cell.curve[1],
        )
        for cell in cells
        if cell.curve[0]
    ]
    return list(names.values()), curves


def _settings(cell: CellRead) -> dict[str, str]:
    """Everything that decides a run but its seeds, by dotted name."""
    if cell.record is None:
        return {"cell": cell.folder.name}
    every = dict(_leaves(asdict(cell.record)))
    return {name: value for name, value in every.items() if name not in INCIDENTAL | _SEEDS}


def _leaves(section: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _names(
    groups: Sequence[tuple[tuple[str, str], ...]],
) -> dict[tuple[tuple[str, str], ...], str]:
    """System, data and rate, and what distinguishes it from others of these."""
    alike: dict[str, list[dict[str, str]]] = defaultdict(list)
    for group in groups:
        alike[_base(dict(group))].append(dict(group))
    named = {}
    for group in groups:
        own = dict(group)
        others = alike[_base(own)]
        fields = sorted({name for other in others for name in other})
        differing = [name for name in fields if len({other.get(name) for other in others}) > 1]
        said = [f"{name.rpartition('.')[2]}={own[name]}" for name in differing if name in own]
        named[group] = " ".join([_base(own), *said])
    return named


def _base(settings: Mapping[str, str]) -> str:
    if "cell" in settings:
        return settings["cell"]
    rate = float(settings.get("data.supervision_rate", "nan"))
    return f"{settings.get('model.system', '')} {settings.get('data.name', '')} f={rate:g}"


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
        "" if record is None else str(dict(_leaves(asdict(record))).get("model.system", "")),
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
    """Cells that failed or stopped, and measures that failed."""
    rows: list[list[Value]] = []
    for cell in cells:
        log = f"./{quote(cell.folder.name)}/log/" if (cell.folder.folder / "log").is_dir() else None
        if cell.state.phase in ("failed", "stopped"):
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
