"""What a sweep will cost, before it runs: an upper bound from time limits, and a guess from speeds that were recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from data_prep.errors import UserError
from data_prep.manifest import Manifest
from launch.clusters.resources import Resources
from launch.monitoring.progress import ProgressReader
from launch.plan import NeededData
from pipeline.cell import Cell
from pipeline.cell_folder import CellFolder

_MOST_READ = 12
"""Recorded cells that are read for one system and data set, the newest first."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of one stage, and what each of them holds."""

    count: int
    devices: int
    """GPUs of a job, or its processors where it has none."""
    on_gpus: bool
    hours: float


def upper_bound(cells: Sequence[Cell], resources: Callable[[int, bool], Resources]) -> list[str]:
    """What the jobs of these cells hold if each of them uses up its time limit, one line for GPUs and one for processors.

    Args:
        cells: those that are not done.
        resources: of a job of so many ranks, on GPUs where the cluster has them or not.
    """
    found = []
    for cell in cells:
        on_gpus = cell.config.training.device != "cpu"
        if not cell.is_trained():
            found.append(_job(resources(cell.config.training.ranks, on_gpus), cell.config.training.ranks))
        found.append(_job(resources(1, on_gpus), 1))
    lines = []
    for on_gpus, what in ((True, "GPU"), (False, "CPU")):
        jobs = [job for job in found if job.on_gpus == on_gpus]
        if jobs:
            hours = sum(job.devices * job.hours for job in jobs)
            longest = max(job.hours for job in jobs)
            lines.append(
                f"at most {hours:,.1f} {what}-hours: {len(jobs)} jobs with a time limit of {longest:g} h, all of it used"
            )
    return lines


def _job(asked: Resources, ranks: int) -> Jobs:
    whole = asked.completed()
    nodes = min(whole.nodes or 1, ranks)
    gpus = min(whole.gpus_per_node or 0, ranks // nodes) * nodes
    return Jobs(1, gpus or ranks * (whole.cpus_per_task or 1), gpus > 0, whole.hours or 0.0)


def by_recorded_speed(
    cells: Sequence[Cell], rows: Callable[[str], int | None], runs: Path
) -> tuple[float, int, list[str]]:
    """Hours of one rank that the training of these cells takes, going by cells that ran before.

    Args:
        cells: those that are not trained.
        rows: data set's folder → rows of its training split; None where nobody knows.
        runs: the folder of all sweeps; cells of the same system and data set in it count.

    Returns:
        Hours; the number of cells they are for; and the names of the systems and data sets of which no speed is known.
    """
    speeds: dict[str, float | None] = {}
    hours, counted, unknown = 0.0, 0, []
    for cell in cells:
        kind = f"{cell.config.model.system}-{cell.config.data.name}"
        if kind not in speeds:
            speeds[kind] = recorded_speed(kind, runs)
        speed, examples = speeds[kind], rows(cell.config.data.folder)
        if speed is None or examples is None:
            unknown.append(kind)
            continue
        hours += cell.config.training.epochs * examples / speed / 3600
        counted += 1
    return hours, counted, list(dict.fromkeys(unknown))


def recorded_speed(kind: str, runs: Path) -> float | None:
    """Images a second and rank, the median of the newest cells named ``<system>-<data>-...``; None where there are none."""
    found = []
    logs = sorted(_recorded(kind, runs), key=lambda log: log.stat().st_mtime, reverse=True)
    for log in logs[:_MOST_READ]:
        speed = ProgressReader().read(CellFolder(log.parent)).images_per_second
        try:
            ranks = int(json.loads((log.parent / "config.json").read_bytes())["training"]["ranks"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if speed:
            found.append(speed / ranks)
    return median(found) if found else None


def _recorded(kind: str, runs: Path) -> Iterable[Path]:
    for sweep in runs.iterdir() if runs.is_dir() else ():
        for folder in sweep.iterdir() if sweep.is_dir() else ():
            if folder.name.startswith(f"{kind}-f") and (folder / "metrics.jsonl").is_file():
                yield folder / "metrics.jsonl"


def training_rows(data: NeededData) -> int | None:
    """Rows of the training split: of the prepared data set, or of its raw files where they are there."""
    try:
        if data.is_ready():
            return Manifest.load(data.folder).splits["train"].rows
        return data.source().splits()["train"]
    except (UserError, OSError, KeyError):
        return None
