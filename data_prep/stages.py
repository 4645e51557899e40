"""Raw files → plan → shards, each an independent task → manifest, last. Resumes if killed at any moment."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from data_prep.errors import ConfigError, DataSetError, MissingDependencyError
from data_prep.faults import DamagedPictures, Fault
from data_prep.files import remove_partial_files
from data_prep.leftovers import name_unfinished, take_over_shards
from data_prep.lock import exclusive_lock
from data_prep.manifest import MANIFEST_FILE, Manifest, ShardSpec, verify_sizes
from data_prep.plan import WORK_FOLDER, Plan, data_set_folder, make_plan
from data_prep.pool import available_cores, check_workers, run_in_processes
from data_prep.progress import Progress
from data_prep.shards.beton import INSTALL_FFCV, ffcv_is_installed, write_beton
from data_prep.sources import source_named
from data_prep.sources.options import Option
from data_prep.tasks import finished_shard, merge, run_shard

Formats = Literal["auto", "arrow", "ffcv", "both"]

_UNWRITABLE = frozenset(
    (
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
        *(errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP),
    )
)
"""Errors of the system where nothing can be written."""
_ROWS_WORTH_A_PROCESS = 200_000
"""Minimum rows of FFCV files per process; below, starting another process takes longer than the work."""
_BYTES_WORTH_PROCESSES = 256 << 20
"""Pixels below which starting processes takes longer than the work: FashionMNIST takes 1.5 s with one and 3 s with two."""


_REMEDY = (
    "; repair them, and only their shards are made again, or leave them out (--option damaged=leave_out)"
)


def prepare(
    name: str,
    *,
    raw: Path | None = None,
    options: Mapping[str, Option] | None = None,
    root: Path = Path("data"),
    workers: int | None = None,
    formats: Formats = "auto",
    seed: int = 0,
    rows_per_shard: int | None = None,
    progress: bool = True,
    place_option: str = "--out",
) -> Path:
    """Prepare a data set below ``root``, or find it already prepared; returns its folder.

    ``raw`` is the folder of the raw files if the user names one, ``options`` are the source's own. ``workers`` is
    the number of processes (None: up to one per core); the result does not depend on it.
    ``formats``: Arrow is always written; ``ffcv`` and ``both`` add a ``.beton`` per split, ``auto`` does where FFCV
    is installed. ``seed`` decides the supervision ranks. Errors are ``UserError`` sentences, or ``OSError`` where the
    disk is full; the next call resumes from what was finished. ``place_option`` is the flag that chose ``root``.
    """
    check_workers(workers)
    source = source_named(name, raw, options)
    folder = data_set_folder(source, Path(root), seed=seed, rows_per_shard=rows_per_shard)
    with_betons = wants_betons(formats, folder)
    if is_complete(folder, with_betons) and not (folder / WORK_FOLDER).exists():
        return folder
    with Progress(shown=progress) as report, naming_unwritable_places(Path(root), place_option):
        waiting = partial(report.say, f"another process is preparing {folder}; waiting for it to end")
        with (
            exclusive_lock(Path(root) / ".locks" / f"{folder.name}.lock", waiting),
            _without_leftovers(folder),
        ):
            if not is_complete(folder, betons=False):
                (folder / MANIFEST_FILE).unlink(missing_ok=True)
                plan, plan_file = make_plan(
                    source, folder, seed=seed, rows_per_shard=rows_per_shard, progress=report, workers=workers
                )
                del source  # it holds the lists, as large as the source; the tasks read the plan
                take_over_shards(plan, plan_file, report)
                _write_shards(plan, plan_file, workers or _worthwhile_workers(plan), report)
                merge(plan_file)
            shutil.rmtree(folder / WORK_FOLDER, ignore_errors=True)
            if with_betons:
                add_betons(folder, workers or available_cores(), report)
            elif formats == "auto" and not ffcv_is_installed():
                report.say(f"Arrow shards only: {INSTALL_FFCV}")
            name_unfinished(folder, report)
    return folder


def wants_betons(formats: Formats, folder: Path) -> bool:
    """Whether FFCV files are also to be written into a data set that is or will be in ``folder``.

    ``MissingDependencyError`` if they were requested explicitly and FFCV is not installed.
    """
    if formats not in get_args(Formats):
        raise ConfigError(f"format {formats!r} is none of {', '.join(get_args(Formats))}")
    if formats == "auto":
        # A finished data set owned by others is used as is.
        return ffcv_is_installed() and (not os.path.exists(folder) or os.access(folder, os.W_OK))
    if formats != "arrow" and not ffcv_is_installed():
        raise MissingDependencyError(INSTALL_FFCV)
    return formats != "arrow"


def find_prepared(
    name: str,
    raw: Path | None,
    root: Path,
    *,
    options: Mapping[str, Option] | None = None,
    seed: int = 0,
    rows_per_shard: int | None = None,
) -> Path | None:
    """The folder that ``prepare`` would return if it is complete (sizes are checked), else None."""
    source = source_named(name, raw, options)
    folder = data_set_folder(source, Path(root), seed=seed, rows_per_shard=rows_per_shard)
    return folder if is_complete(folder, betons=False) else None


def finish(plan_file: Path, *, betons: bool) -> Manifest:
    """The job after the shards of a plan: merge them, clear the work folder, and write the FFCV files if ``betons``.

    Idempotent, so that an interrupted job can be rerun. Returns the manifest.
    """
    folder = plan_file.parent.parent
    if not is_complete(folder, betons=False):
        merge(plan_file)
    shutil.rmtree(plan_file.parent, ignore_errors=True)
    if betons:
        add_betons(folder, available_cores(), Progress(shown=False))
    remove_partial_files(folder)
    return Manifest.load(folder)


def add_betons(folder: Path, workers: int, progress: Progress) -> None:
    """Write the ``.beton`` of each split that lacks one from its Arrow shards, and enter it in the manifest."""
    splits = Manifest.load(folder).splits.values()
    missing = [split.name for split in splits if split.beton is None]
    if not missing:
        return
    # Processes are slow to start, so small splits share one.
    workers = min(workers, len(missing), 1 + sum(split.rows for split in splits) // _ROWS_WORTH_A_PROCESS)

    def enter(result: tuple[str, ShardSpec]) -> None:
        manifest, (split, spec) = Manifest.load(folder), result
        splits = manifest.splits | {split: dataclasses.replace(manifest.splits[split], beton=spec)}
        dataclasses.replace(manifest, splits=splits).save(folder)
        progress.advance()

    progress.begin("FFCV files", total=len(missing))
    if workers > 1:
        run_in_processes(partial(write_beton, folder), missing, workers=workers, on_result=enter)
        return
    for split in missing:
        enter(write_beton(folder, split))


def _write_shards(plan: Plan, plan_file: Path, workers: int, progress: Progress) -> None:
    """All shards that can be written, even if some have damaged pictures, which are then named together."""
    work = plan_file.parent
    todo = [i for i, task in enumerate(plan.tasks) if finished_shard(work, work.parent / task.file) is None]
    progress.begin("shards", total=len(plan.tasks), done=len(plan.tasks) - len(todo))
    damaged: list[Fault] = []

    def note(ended: DamagedPictures | None) -> None:
        damaged.extend(ended.faults if ended is not None else ())
        progress.advance()

    if min(workers, len(todo)) > 1:
        run = partial(_run_shard, plan_file=plan_file)
        run_in_processes(run, todo, workers=min(workers, len(todo)), on_result=note)
    else:
        for index in todo:
            note(_run_shard(index, plan_file))
    if damaged:
        raise DamagedPictures(
            sorted(damaged, key=lambda fault: (list(plan.splits).index(fault.split), fault.row)), _REMEDY
        )


def _run_shard(index: int, plan_file: Path) -> DamagedPictures | None:
    """Write a shard; returned, not raised, are its damaged pictures, so that other shards go on."""
    try:
        run_shard(index, plan_file)
    except DamagedPictures as error:
        return error
    return None


def _worthwhile_workers(plan: Plan) -> int:
    pixels = sum(plan.splits.values()) * math.prod(plan.source.image_shape())
    return available_cores() if pixels >= _BYTES_WORTH_PROCESSES else 1


def is_complete(folder: Path, betons: bool) -> bool:
    """Whether a data set has its manifest and every file in it (sizes are checked), FFCV's too if ``betons``."""
    try:
        manifest = Manifest.load(folder)
        verify_sizes(folder, manifest)
    except DataSetError:
        return False
    return not betons or all(split.beton is not None for split in manifest.splits.values())


@contextmanager
def _without_leftovers(folder: Path) -> Iterator[None]:
    """Remove half-written files, of this run or of a killed one, after the block."""
    try:
        yield
    finally:
        remove_partial_files(folder)


@contextmanager
def naming_unwritable_places(place: Path, option: str = "--out") -> Iterator[None]:
    """Turn the system's error about an unwritable file or folder into a user error.

    ``option`` chose ``place``; errors elsewhere, as with a raw file, are raised unchanged.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        chosen, found = (Path(path).absolute() for path in (place, error.filename or place))
        is_above = chosen.is_relative_to(found)
        if not is_above and (error.errno == errno.ENOENT or not found.is_relative_to(chosen)):
            raise
        raise DataSetError(
            f"{found} cannot be written: {os.strerror(error.errno)}; choose another place with {option}"
        ) from None
