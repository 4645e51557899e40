"""The plan of a preparation: which rows go into which shard. Written once, read by every task."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.counted import counted
from data_prep.damaged_rows import LeavesOut, damaged_rows
from data_prep.errors import DataSetError
from data_prep.faults import Fault
from data_prep.files import atomic_write
from data_prep.manifest import content_digest
from data_prep.progress import Progress
from data_prep.sources import settable_options, source_named
from data_prep.sources.options import Option
from data_prep.sources.source import Source
from data_prep.supervision import supervision_rank

WORK_FOLDER = ".work"
PLAN_FILE = "plan.json"

_SHARD_BYTES = 64 << 20
_MOST_ROWS, _FEWEST_ROWS = 8192, 64


@dataclass(frozen=True)
class ShardTask:
    """Rows ``start`` to ``stop`` of a split, which become one file."""

    split: str
    start: int
    stop: int
    file: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the tasks of one preparation share, stored in ``<data set>/.work/plan.json``."""

    name: str
    """registered name of the source"""
    raw: str
    """folder of the verified raw files"""
    options: dict[str, Option]
    """the source's own, as set or by default"""
    digest: str
    sources: dict[str, str]
    seed: int
    rows_per_shard: int
    splits: dict[str, int]
    """split → rows"""
    left_out: dict[str, int] = field(default_factory=dict)
    """reason → number of pictures that are in no split for it"""

    @property
    def tasks(self) -> tuple[ShardTask, ...]:
        step = self.rows_per_shard
        return tuple(
            ShardTask(split, start, min(start + step, rows), f"{split}-{start // step:05d}.arrow")
            for split, rows in self.splits.items()
            for start in range(0, rows, step)
        )

    @property
    def source(self) -> Source:
        return source_named(self.name, Path(self.raw), self.options)

    @staticmethod
    def load(file: Path) -> Plan:
        """Read a plan; ``DataSetError`` naming the file if it is missing or damaged."""
        try:
            return Plan(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise DataSetError(
                f"{file} is missing: the preparation it belongs to is finished or was removed"
            ) from None
        except (ValueError, TypeError) as error:
            raise DataSetError(f"{file} is damaged ({error}); prepare the data set again") from None

    def save(self, file: Path) -> None:
        with atomic_write(file) as out:
            out.write(json.dumps(dataclasses.asdict(self), indent=1).encode())


def default_rows_per_shard(image_shape: tuple[int, int, int]) -> int:
    """The power of two that keeps a shard below 64 MiB of pixels, at most 8192."""
    fitting = max(_SHARD_BYTES // int(np.prod(image_shape)), 1)
    return min(max(1 << (fitting.bit_length() - 1), _FEWEST_ROWS), _MOST_ROWS)


def identity(source: Source, *, seed: int, rows_per_shard: int | None) -> dict[str, Any]:
    """What decides the content of a data set: the arguments of ``content_digest``."""
    return {
        "name": source.name,
        "options": dict(source.options),
        "sources": dict(source.checksums()),
        "seed": seed,
        "rows_per_shard": rows_per_shard or default_rows_per_shard(source.image_shape()),
    }


def data_set_folder(source: Source, root: Path, *, seed: int = 0, rows_per_shard: int | None = None) -> Path:
    """``<root>/<name>-<digest>``: where the data set of this source is, or will be."""
    return (
        root / f"{source.name}-{content_digest(**identity(source, seed=seed, rows_per_shard=rows_per_shard))}"
    )


def make_plan(
    source: Source,
    folder: Path,
    *,
    seed: int,
    rows_per_shard: int | None,
    progress: Progress,
    workers: int | None = None,
) -> tuple[Plan, Path]:
    """Find and check the raw files, rank the rows where that requires a complete split, and write the plan.

    ``workers`` as in ``Source.verified``. Returns the plan and its file.
    """
    work = folder / WORK_FOLDER
    decided = identity(source, seed=seed, rows_per_shard=rows_per_shard)
    ready = source.verified(work / "raw", progress, workers)
    if isinstance(ready, LeavesOut) and source.options.get("damaged") == "leave_out":
        faults = [fault for fault in damaged_rows(ready, workers, progress) if isinstance(fault, Fault)]
        if faults:
            progress.say(f"left out: {counted(len(faults), 'damaged picture')}, the first: {faults[0]}")
            ready = ready.without(faults)
    plan = Plan(
        name=source.name,
        raw=str((ready.raw or work).absolute()),
        options=settable_options(source),
        digest=content_digest(**decided),
        sources=decided["sources"],
        seed=seed,
        rows_per_shard=decided["rows_per_shard"],
        splits=dict(ready.splits()),
        left_out=dict(ready.left_out) if isinstance(ready, LeavesOut) else {},
    )
    for split in plan.splits:
        classes = ready.label_column(split)
        if classes is not None:
            with atomic_write(_rank_file(work, split)) as file:
                np.save(file, supervision_rank(ready.ids(split), seed=seed, classes=classes))
    plan.save(work / PLAN_FILE)
    return plan, work / PLAN_FILE


def ranks_of(plan: Plan, work: Path, task: ShardTask, ids: list[str]) -> NDArray[np.float32]:
    """The supervision ranks (n,) of a task's rows: from the plan's file if stratified, else from their ids alone."""
    file = _rank_file(work, task.split)
    if file.exists():
        return np.load(file, mmap_mode="r", allow_pickle=False)[task.start : task.stop]
    return supervision_rank(ids, seed=plan.seed)


def _rank_file(work: Path, split: str) -> Path:
    return work / f"supervision-rank-{split}.npy"
