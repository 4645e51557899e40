"""The cost of a sweep before it runs: an upper bound from time limits, and an estimate from recorded speeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from data_prep.counted import counted
from data_prep.errors import UserError
from data_prep.manifest import Manifest
from data_prep.shards.arrow import count_references
from launch.clusters.resources import Resources
from launch.monitoring.progress import ProgressReader
from launch.plan import NeededData
from pipeline.cell import Cell
from pipeline.cells.folder import CellFolder
from pipeline.data.order import images_per_epoch

_MOST_READ = 12
"""Number of recorded cells to read for one system and data set, the newest first."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a job occupies while it runs."""

    devices: int
    """GPUs, or CPUs if it has none."""
    what: str
    """``GPU`` or ``CPU``."""
    limit_hours: float
    cells: int = 1
    """How many cells share it."""

    @classmethod
    def by(cls, resources: Resources, ranks: int, cells: int = 1) -> Allocation:
        """The allocation of a job of ``ranks`` ranks with these resources, or of ``cells`` cells that share it."""
        whole = resources.completed()
        nodes = min(whole.nodes or 1, ranks)
        gpus = (whole.gpus.on_node(ranks // nodes).count or 0) * nodes
        devices = gpus or ranks * (whole.cpus_per_task or 1)
        return cls(devices, "GPU" if gpus else "CPU", whole.hours or 0.0, cells)


def upper_bound(cells: Sequence[Cell], allocation: Callable[[int, bool], Allocation]) -> list[str]:
    """What the jobs of these cells use if each runs until its time limit: one line for GPUs and one for CPUs.

    Args:
        cells: those that are not done.
        allocation: (ranks, on GPUs if the cluster has them) → what a job holds.
    """
    counts: Counter[tuple[str, int, bool]] = Counter()
    for cell in cells:
        on_gpus = cell.config.training.device != "cpu"
        counts["evaluate", 1, on_gpus] += 1
        counts["train", cell.config.training.ranks, on_gpus] += not cell.is_trained()
    jobs = []
    for (_, ranks, on_gpus), count in counts.items():
        job = allocation(ranks, on_gpus)
        jobs += [job] * math.ceil(count / job.cells)
    lines = []
    for what in ("GPU", "CPU"):
        of_it = [job for job in jobs if job.what == what]
        if of_it:
            hours = sum(job.devices * job.limit_hours for job in of_it)
            longest = max(job.limit_hours for job in of_it)
            lines.append(
                f"at most {hours:,.1f} {what}-hours: {counted(len(of_it), 'job that runs', 'jobs that all run')} until"
                f" the time limit of {longest:g} h"
            )
    return lines


def by_recorded_speed(
    cells: Sequence[Cell],
    images: Callable[[Cell], int | None],
    runs: Path,
    allocation: Callable[[int, bool], Allocation],
) -> list[str]:
    """What the training of these cells takes, according to cells that ran before.

    Args:
        cells: those that are not trained.
        images: cell → images that it trains on in an epoch; None if unknown.
        runs: the folder of all sweeps; cells of the same system and data set in it count.
        allocation: as in ``upper_bound``.

    Returns:
        Lines: one for GPUs, one for CPUs, and one for cells without a recorded speed.
    """
    speeds: dict[str, dict[int, float]] = {}
    hours: dict[str, list[tuple[float, float]]] = {}
    scaled, sharing, unknown = 0, 1, []
    for cell in cells:
        training = cell.config.training
        kind = f"{cell.config.model.system}-{cell.config.data.name}"
        if kind not in speeds:
            speeds[kind] = recorded_speeds(kind, runs)
        speed, examples = _speed_on(training.ranks, speeds[kind]), images(cell)
        if speed is None or examples is None:
            unknown.append(kind)
            continue
        job = allocation(training.ranks, training.device != "cpu")
        on_gpu = job.what == "GPU"
        # Cells that share a CPU job have fewer CPUs each.
        devices = job.devices / job.cells if on_gpu else job.devices
        hours.setdefault(job.what, []).append((training.epochs * examples / speed / 3600, devices))
        sharing = max(sharing, job.cells if on_gpu else 1)
        scaled += training.ranks not in speeds[kind]
    lines = [
        f"about {sum(time * devices for time, devices in jobs):,.2f} {what}-hours for the training of"
        f" {counted(len(jobs), 'cell')}, of which the longest takes {max(time for time, _ in jobs):.2f} h, at the"
        f" speeds recorded in {runs}"
        for what, jobs in hours.items()
    ]
    if sharing > 1:
        lines.append(
            f"so few GPU-hours if each of the {sharing} cells on a GPU is as fast as at the recorded speed"
        )
    if scaled:
        lines.append(f"{scaled} of these cells scaled linearly from the speed of a different number of ranks")
    if unknown:
        names = ", ".join(dict.fromkeys(unknown))
        lines.append(f"no recorded speed in {runs} for {names}: no estimate of its training")
    return lines


def recorded_speeds(kind: str, runs: Path) -> dict[int, float]:
    """Images/s of all ranks together, by number of ranks: the median of the newest cells named ``<system>-<data>-…``."""
    found: dict[int, list[float]] = {}
    logs = sorted(_recorded(kind, runs), key=lambda log: log.stat().st_mtime, reverse=True)
    for log in logs[:_MOST_READ]:
        cell = CellFolder(log.parent)
        speed, record = ProgressReader().read(cell).images_per_second, cell.record()
        if speed and record is not None:
            found.setdefault(record.training.ranks, []).append(speed)
    return {ranks: median(of_it) for ranks, of_it in found.items()}


def _speed_on(ranks: int, speeds: Mapping[int, float]) -> float | None:
    """The recorded speed on ``ranks`` ranks, or scaled from the nearest number; None if there is none."""
    if not speeds:
        return None
    nearest = min(speeds, key=lambda known: abs(known - ranks))
    return speeds[nearest] / nearest * ranks


def _recorded(kind: str, runs: Path) -> Iterable[Path]:
    for sweep in runs.iterdir() if runs.is_dir() else ():
        for folder in sweep.iterdir() if sweep.is_dir() else ():
            if folder.name.startswith(f"{kind}-f") and (folder / "metrics.jsonl").is_file():
                yield folder / "metrics.jsonl"


def training_images(data: NeededData, *, with_references: bool) -> int | None:
    """Images of an epoch: rows of the training split of the prepared data set, or of its raw files if they exist.

    ``with_references``: for systems that draw references, which is known of prepared data sets only.
    """
    try:
        if not data.is_ready():
            return None if with_references else data.source().splits()["train"]
        manifest = Manifest.load(data.folder)
        references = count_references(data.folder, manifest, "train") if with_references else None
        return images_per_epoch(manifest.splits["train"].rows, references)
    except (UserError, OSError, KeyError):
        return None
