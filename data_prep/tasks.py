"""The two tasks of a preparation: one shard of a plan, and the merge of all shards into a manifest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from data_prep.errors import DataSetError
from data_prep.files import atomic_write, checksum
from data_prep.manifest import FORMAT_VERSION, Manifest, ShardSpec, SplitSpec
from data_prep.plan import Plan, ShardTask, ranks_of
from data_prep.shards.arrow import write_shard
from data_prep.sources.options import PART_OPTIONS
from data_prep.sources.source import Source
from data_prep.supervision import PAPER_RATES, labels_used_at

_ABOUT_OTHER_ROWS = (
    ("damaged", "refuse"),
    ("damaged", "leave_out"),
    ("pictures", "all"),
    ("pictures", "both"),
)
"""Options that decide which rows there are, and nothing about a row."""


@runtime_checkable
class TellsContent(Protocol):
    """A source that can tell what its rows are made from without making them."""

    def made_from(self, split: str, start: int, stop: int) -> bytes:
        """All of the raw files that decides rows ``start`` to ``stop`` of a split; empty if that is not known."""
        ...


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard and its part of the manifest's counts; stored next to the plan until the merge."""

    spec: ShardSpec
    value_counts: list[list[int]]
    """[label][value]: observed rows that have it"""
    labels_used: dict[str, list[int]]
    """rate as text → per label, rows whose label is used"""
    regions: bool = False
    """whether its rows have them"""
    made_from: str = ""
    """SHA-256 of all that decides its bytes; empty if its source does not tell"""


def run_shard(index: int, plan_file: Path) -> ShardRecord:
    """Write shard number ``index`` of a plan unless it exists; the unit of work of a process pool or job array."""
    plan, work = Plan.load(plan_file), plan_file.parent
    task = plan.tasks[index]
    path = work.parent / task.file
    record = finished_shard(work, path)
    if record is not None:
        return record
    source = plan.source
    rows = source.rows(task.split, task.start, task.stop)
    rows.check(source.image_shape(), [label.cardinality for label in source.labels()], len(source.factors))
    rank = ranks_of(plan, work, task, list(rows.ids))
    record = ShardRecord(
        spec=write_shard(path, rows, rank),
        value_counts=[
            np.bincount(rows.labels[rows.observed[:, i], i], minlength=label.cardinality).tolist()
            for i, label in enumerate(source.labels())
        ],
        labels_used={
            str(f): labels_used_at(f, rank, rows.observed).sum(axis=0).tolist() for f in PAPER_RATES
        },
        regions=rows.regions is not None,
        made_from=made_from(plan, work, task, source, list(rows.ids)),
    )
    write_record(work, task, record)
    return record


def made_from(plan: Plan, work: Path, task: ShardTask, source: Source, ids: list[str]) -> str:
    """SHA-256 of all that decides the bytes of a shard; empty if the source does not tell what its rows are made from.

    ``ids`` are those of the task's rows.
    """
    if not isinstance(source, TellsContent):
        return ""
    content = source.made_from(task.split, task.start, task.stop)
    if not content:
        return ""
    options = {name: value for name, value in plan.options.items() if (name, value) not in _ABOUT_OTHER_ROWS}
    options = {name: value for name, value in options.items() if name not in PART_OPTIONS}
    decided = [FORMAT_VERSION, plan.name, options, plan.seed, source.image_shape()]
    digest = hashlib.sha256(json.dumps(decided, sort_keys=True).encode())
    digest.update(content)
    digest.update(ranks_of(plan, work, task, ids).tobytes())
    return digest.hexdigest()


def merge(plan_file: Path) -> Manifest:
    """Merge the records of all shards and write the manifest; ``DataSetError`` if one is missing."""
    plan, work = Plan.load(plan_file), plan_file.parent
    records: dict[str, list[ShardRecord]] = {split: [] for split in plan.splits}
    for task in plan.tasks:
        record = read_record(_record_file(work, task))
        if record is None:
            raise DataSetError(
                f"{work.parent / task.file} is not written yet; run its task again before the merge"
            )
        records[task.split].append(record)
    source = plan.source
    manifest = Manifest(
        name=plan.name,
        digest=plan.digest,
        image_shape=source.image_shape(),
        labels=source.labels(),
        factors=source.factors,
        splits={split: _merged(split, found) for split, found in records.items()},
        options=dict(source.options),
        sources=plan.sources,
        seed=plan.seed,
        rows_per_shard=plan.rows_per_shard,
        regions=all(record.regions for found in records.values() for record in found),
        left_out=plan.left_out,
    )
    manifest.save(work.parent)
    return manifest


def write_record(work: Path, task: ShardTask, record: ShardRecord) -> None:
    """Write the record of a finished shard; from then on it counts."""
    with atomic_write(_record_file(work, task)) as file:
        file.write(json.dumps(dataclasses.asdict(record)).encode())


def _record_file(work: Path, task: ShardTask) -> Path:
    return work / f"{task.file}.json"


def read_record(file: Path) -> ShardRecord | None:
    """The record of a finished shard; None if there is none, or a damaged one."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        return ShardRecord(**record | {"spec": ShardSpec(**record["spec"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def finished_shard(work: Path, path: Path) -> ShardRecord | None:
    """The record of a shard that an earlier run finished, if the file still matches it."""
    record = read_record(work / f"{path.name}.json")
    if record is None or not path.is_file() or checksum(path) != record.spec.sha256:
        return None
    return record


def _merged(split: str, records: list[ShardRecord]) -> SplitSpec:
    counts = [np.sum(label, axis=0) for label in zip(*(r.value_counts for r in records), strict=True)]
    return SplitSpec(
        name=split,
        rows=sum(r.spec.rows for r in records),
        shards=tuple(r.spec for r in records),
        beton=None,
        label_frequencies=tuple(tuple((c / max(c.sum(), 1)).tolist()) for c in counts),
        labels_used={
            rate: tuple(int(n) for n in np.sum([r.labels_used[rate] for r in records], axis=0))
            for rate in records[0].labels_used
        },
    )
