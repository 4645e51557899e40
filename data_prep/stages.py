"""Raw files → plan → shards, each an independent task → manifest, last. Killed at any moment, it goes on."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from data_prep.errors import ConfigError, DataSetError, MissingDependencyError
from data_prep.files import atomic_write, checksum, remove_partial_files
from data_prep.lock import exclusive_lock
from data_prep.manifest import MANIFEST_FILE, Manifest, ShardSpec, SplitSpec, verify_sizes
from data_prep.plan import WORK_FOLDER, Plan, ShardTask, data_set_folder, make_plan, ranks_of
from data_prep.pool import available_cores, run_in_processes
from data_prep.progress import Progress
from data_prep.shards.arrow import write_shard
from data_prep.shards.beton import INSTALL_FFCV, ffcv_is_installed, write_beton
from data_prep.sources import source_named
from data_prep.supervision import PAPER_RATES, labels_used_at

Formats = Literal["auto", "arrow", "ffcv", "both"]
_ROWS_WORTH_A_PROCESS = 200_000


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard and its share of the manifest's counts; kept beside the plan until the merge."""

    spec: ShardSpec
    value_counts: list[list[int]]
    """[label][value]: observed rows that have it"""
    labels_used: dict[str, list[int]]
    """rate as text → per label, rows whose label is used"""


def prepare(
    name: str,
    *,
    raw: Path | None = None,
    root: Path = Path("data"),
    workers: int | None = None,
    formats: Formats = "auto",
    seed: int = 0,
    rows_per_shard: int | None = None,
    progress: bool = True,
) -> Path:
    """Prepare a data set below ``root``, or find it prepared already; returns its folder.

    ``raw`` is the folder of the raw files where the user names one. ``workers`` is the number of processes (None: one
    per core); the result does not depend on it. ``formats``: Arrow is always written; ``ffcv`` and ``both`` add a
    ``.beton`` per split, ``auto`` does where FFCV is installed. ``seed`` decides the supervision ranks. Errors are
    ``UserError`` sentences, or ``OSError`` where the disk is full; what was finished is found again by the next call.
    """
    if formats not in get_args(Formats):
        raise ConfigError(f"format {formats!r} is none of {', '.join(get_args(Formats))}")
    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers}, and at least 1 is needed")
    if raw is not None and not Path(raw).is_dir():
        raise ConfigError(f"{raw} is not a folder; --raw names the folder that holds the raw files")
    if formats in ("ffcv", "both") and not ffcv_is_installed():
        raise MissingDependencyError(INSTALL_FFCV)
    source = source_named(name, raw)
    with_betons = formats != "arrow" and ffcv_is_installed()
    folder = data_set_folder(source, Path(root), seed=seed, rows_per_shard=rows_per_shard)
    if _is_complete(folder, with_betons):
        return folder
    with Progress(shown=progress) as report, _naming_unwritable_places(Path(root)):
        waiting = partial(report.say, f"another process is preparing {folder}; waiting for it to end")
        with exclusive_lock(Path(root) / ".locks" / f"{folder.name}.lock", waiting):
            if not _is_complete(folder, betons=False):
                (folder / MANIFEST_FILE).unlink(missing_ok=True)
                _write_arrow(
                    partial(make_plan, source, folder, seed=seed, rows_per_shard=rows_per_shard, progress=report),
                    folder, workers or available_cores(), report,
                )  # fmt: skip
            shutil.rmtree(folder / WORK_FOLDER, ignore_errors=True)
            if with_betons:
                try:
                    add_betons(folder, workers or available_cores(), report)
                except MissingDependencyError as error:
                    if formats != "auto":
                        raise
                    report.say(f"Arrow shards only: {error}")
            elif formats == "auto":
                report.say(f"Arrow shards only: {INSTALL_FFCV}")
    return folder


def find_prepared(
    name: str, raw: Path | None, root: Path, *, seed: int = 0, rows_per_shard: int | None = None
) -> Path | None:
    """The folder that ``prepare`` would return if it is there and whole (sizes are checked), else None."""
    folder = data_set_folder(source_named(name, raw), Path(root), seed=seed, rows_per_shard=rows_per_shard)
    return folder if _is_complete(folder, betons=False) else None


def run_shard(index: int, plan_file: Path) -> ShardRecord:
    """Write shard number ``index`` of a plan, or find it written; the unit of work of a process pool or job array."""
    plan, work = Plan.load(plan_file), plan_file.parent
    task = plan.tasks[index]
    path = work.parent / task.file
    record = _finished_shard(work, path)
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
    )
    with atomic_write(_record_file(work, task)) as file:
        file.write(json.dumps(dataclasses.asdict(record)).encode())
    return record


def merge(plan_file: Path) -> Manifest:
    """Put the records of all shards together and write the manifest; ``DataSetError`` if one is missing."""
    plan, work = Plan.load(plan_file), plan_file.parent
    records: dict[str, list[ShardRecord]] = {split: [] for split in plan.splits}
    for task in plan.tasks:
        record = _read_record(_record_file(work, task))
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
    )
    manifest.save(work.parent)
    return manifest


def add_betons(folder: Path, workers: int, progress: Progress) -> None:
    """Give each split that lacks one its ``.beton``, made from the Arrow shards, and enter it in the manifest."""
    splits = Manifest.load(folder).splits.values()
    missing = [split.name for split in splits if split.beton is None]
    if not missing:
        return
    # Each process first spends seconds on importing torch and FFCV: small splits share one.
    workers = min(workers, len(missing), 1 + sum(split.rows for split in splits) // _ROWS_WORTH_A_PROCESS)

    def enter(result: tuple[str, ShardSpec]) -> None:
        manifest, (split, spec) = Manifest.load(folder), result
        splits = manifest.splits | {split: dataclasses.replace(manifest.splits[split], beton=spec)}
        dataclasses.replace(manifest, splits=splits).save(folder)
        progress.advance()

    progress.begin("FFCV files", total=len(missing))
    # Always in a process of its own: importing FFCV changes the thread counts of torch and numba.
    run_in_processes(partial(write_beton, folder), missing, workers=workers, on_result=enter)


def _write_arrow(planning: Any, folder: Path, workers: int, progress: Progress) -> None:
    remove_partial_files(folder)
    plan, plan_file = planning()
    todo = [
        i
        for i, task in enumerate(plan.tasks)
        if _finished_shard(plan_file.parent, folder / task.file) is None
    ]
    progress.begin("shards", total=len(plan.tasks), done=len(plan.tasks) - len(todo))
    try:
        run, workers = partial(run_shard, plan_file=plan_file), min(workers, len(todo))
        if workers <= 1:
            for index in todo:
                run(index)
                progress.advance()
        else:
            run_in_processes(run, todo, workers=workers, on_result=lambda _: progress.advance())
    finally:
        remove_partial_files(folder)
    merge(plan_file)


def _is_complete(folder: Path, betons: bool) -> bool:
    try:
        manifest = Manifest.load(folder)
        verify_sizes(folder, manifest)
    except DataSetError:
        return False
    leftover = (folder / WORK_FOLDER).exists()
    return not betons or not (leftover or any(split.beton is None for split in manifest.splits.values()))


def _record_file(work: Path, task: ShardTask) -> Path:
    return work / f"{task.file}.json"


def _read_record(file: Path) -> ShardRecord | None:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        return ShardRecord(ShardSpec(**record["spec"]), record["value_counts"], record["labels_used"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _finished_shard(work: Path, path: Path) -> ShardRecord | None:
    """The record of a shard that an earlier run finished, if the file still is what the record says."""
    record = _read_record(work / f"{path.name}.json")
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


@contextmanager
def _naming_unwritable_places(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        reason = os.strerror(error.errno)
        raise DataSetError(
            f"{error.filename or root} cannot be written: {reason}; choose a folder with --out"
        ) from None
