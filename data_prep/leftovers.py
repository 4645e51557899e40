"""What earlier preparations left next to a data set: shards that can be taken over, and folders to be named.

A data set's folder is named by the digest of its raw files, so that one repaired picture is another data set. All
shards but that picture's have the same rows, and are linked instead of made again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from data_prep.counted import counted
from data_prep.files import atomic_path
from data_prep.manifest import MANIFEST_FILE
from data_prep.plan import PLAN_FILE, WORK_FOLDER, Plan
from data_prep.progress import Progress
from data_prep.tasks import finished_shard, made_from, read_record, write_record


def take_over_shards(plan: Plan, plan_file: Path, progress: Progress) -> None:
    """Link the shards that unfinished preparations of the same source have of the same rows."""
    work = plan_file.parent
    offered = {}
    for other in _unfinished(work.parent):
        for record_file in (other / WORK_FOLDER).glob("*.arrow.json"):
            record = read_record(record_file)
            if record is not None and record.made_from:
                offered[record.made_from] = other / record.spec.file
    if not offered:
        return
    source, taken = plan.source, 0
    ids_of = {split: source.ids(split) for split in plan.splits}
    for task in plan.tasks:
        path = work.parent / task.file
        if finished_shard(work, path) is not None:
            continue
        found = offered.get(made_from(plan, work, task, source, ids_of[task.split][task.start : task.stop]))
        record = None if found is None else finished_shard(found.parent / WORK_FOLDER, found)
        if found is None or record is None:
            continue
        try:
            with atomic_path(path) as partial:
                _link(found, partial)
        except FileNotFoundError:  # removed by somebody in the meantime
            continue
        write_record(work, task, replace(record, spec=replace(record.spec, file=task.file)))
        taken += 1
    if taken:
        progress.say(f"{taken} of {counted(len(plan.tasks), 'shard')} taken over from earlier preparations")


def name_unfinished(folder: Path, progress: Progress) -> None:
    """Say which folders unfinished preparations of the same source left, and how much room their removal gives."""
    for other in _unfinished(folder):
        found = [file.stat() for file in other.rglob("*") if file.is_file()]
        size = sum(each.st_size for each in found if each.st_nlink == 1)  # the others were taken over
        progress.say(
            f"{other} ({size / 1e6:,.0f} MB) is an unfinished preparation of other raw files or options: "
            "remove it unless it is to be resumed"
        )


def _link(existing: Path, new: Path) -> None:
    try:
        os.link(existing, new)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(existing, new)


def _unfinished(folder: Path) -> Iterator[Path]:
    """Other folders of the same source that hold a plan and no manifest."""
    with suppress(OSError):
        name = folder.name.rpartition("-")[0]
        for other in sorted(folder.parent.glob(f"{name}-*")):
            if other.name.rpartition("-")[0] != name or other == folder:
                continue
            if (other / WORK_FOLDER / PLAN_FILE).is_file() and not (other / MANIFEST_FILE).exists():
                yield other
