"""Data sets that are not prepared yet: a plan made here, an array over the shards, and a merge after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from data_prep.errors import UserError
from data_prep.files import atomic_write
from data_prep.leftovers import take_over_shards
from data_prep.lock import exclusive_lock
from data_prep.plan import PLAN_FILE, WORK_FOLDER, Plan, default_rows_per_shard, make_plan
from data_prep.progress import Progress
from data_prep.stages import is_complete, naming_unwritable_places
from data_prep.tasks import finished_shard
from jobs.prepare import main as prepare_unit
from launch.clusters.backend import last_error
from launch.clusters.slurm.arrays import Array, Dependency, Unit, split
from launch.clusters.slurm.queue import QueuedJob
from launch.clusters.slurm.register import Register, Submission
from launch.plan import NeededData

Shards = list[tuple[int, str]]
"""Number in the plan, and file."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a data set will become ready: by arrays, the last of which is the merge, or by a job that is already queued."""

    data: NeededData
    arrays: tuple[Array, ...]
    ready_after: Array | str
    """The merge: an array of this plan, or a job that SLURM already has."""


def work_folder(data: NeededData) -> Path:
    """The folder of the plan and the shards' records until they are merged."""
    return data.folder / WORK_FOLDER


@contextmanager
def data_set_lock(data: NeededData, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the data set's lock, the same that a local preparation takes."""

    def waiting() -> None:
        say(f"another process is preparing {data.folder}; waiting for it to end")

    root = data.folder.parent
    with (
        naming_unwritable_places(root, data.place_option),
        exclusive_lock(root / ".locks" / f"{data.folder.name}.lock", waiting),
    ):
        yield


def plan_shards(data: NeededData) -> None:
    """Find and check the raw files and write the plan for the tasks, unless the shards exist.

    Raises:
        UserError: raw files are missing or damaged.
    """
    if is_complete(data.folder, betons=False):
        return
    with Progress(shown=True) as progress:
        plan = make_plan(data.source(), data.folder, seed=data.seed, rows_per_shard=None, progress=progress)
        take_over_shards(*plan, progress)


def merge_at_work(data: NeededData, register: Register, queue: Mapping[str, QueuedJob]) -> str | None:
    """Id of the queued merge of this data set, of this sweep or another one; None if there is none.

    ``register`` is the sweep's, ``queue`` holds the jobs of all sweeps.
    """
    own = register.newest("merge", data.folder.name)
    noted = _noted_merge(data)
    for job, comment in [*([] if own is None else [(str(own.job), own.comment)]), *noted]:
        if f"{job}_0" in queue and queue[f"{job}_0"].comment == comment:
            return job
    return None


def note_merge(data: NeededData, submission: Submission) -> None:
    """Record for other sweeps that need the same data set which job merges it."""
    with atomic_write(_merge_note(data)) as file:
        file.write(json.dumps({"job": submission.job, "comment": submission.comment}).encode())


def shards_at_work(data: NeededData, register: Register, queue: Mapping[str, QueuedJob]) -> dict[str, str]:
    """Shard → queued job of this sweep that writes it, a task of an array."""
    found = {}
    for submission in register.in_stages(["prepare"]):
        for unit in submission.units:
            folder, _, shard = unit.partition("/")
            job = submission.job_of(unit)
            if folder == data.folder.name and job is not None and job in queue:
                found[shard] = job
    return found


def preparation(
    data: NeededData,
    parameters: dict[str, Any],
    most: int,
    at_once: int | None,
    shards: Shards,
    at_work: Mapping[str, str],
) -> Preparation:
    """The arrays of a data set whose plan is written: over its unfinished shards (split at ``most``), and the merge.

    Args:
        data: the data set.
        parameters: submitit's parameters of each job.
        most: maximum number of tasks of an array.
        at_once: maximum number of tasks at the same time; None: no limit.
        shards: those that are not written yet.
        at_work: shard → queued job that writes it; the merge waits for these as well.
    """
    plan_file = str(work_folder(data) / PLAN_FILE)

    def unit(name: str, kind: str, *arguments: str) -> Unit:
        return Unit(name, kind, plan_file, prepare_unit, (["--config", plan_file, *arguments],))

    # Each task is given its shard number: the remaining shards need not begin at 0.
    tasks = [
        unit(f"{data.folder.name}/{file}", "prepare", "--task", str(number))
        for number, file in shards
        if file not in at_work
    ]
    arrays = [
        Array(stage="prepare", units=chunk, parameters=parameters, at_once=at_once)
        for chunk in split(tasks, most)
    ]
    if at_once is not None:
        for before, after in pairwise(arrays):
            after.dependencies.append(Dependency("afterok", before))
    # Of an older array only the remaining tasks: its failed tasks are repeated in the new array.
    waits_for: list[Array | str] = [*arrays, *sorted(set(at_work.values()))]
    merge = Array(
        stage="merge",
        units={0: unit(data.folder.name, "merge", "--merge", *(["--ffcv"] if data.ffcv else []))},
        parameters=parameters,
        dependencies=[Dependency("afterok", what) for what in waits_for],
    )
    return Preparation(data, (*arrays, merge), merge)


def why_not_prepared(data_folder: Path, register: Register) -> str:
    """The error messages of the jobs that failed to prepare a data set."""
    folders = {
        str(submission.job): Path(submission.folder)
        for submission in register.in_stages(["prepare", "merge"])
        if any(unit.partition("/")[0] == data_folder.name for unit in submission.units)
    }
    logs = [log for job, folder in folders.items() for log in sorted(folder.glob(f"{job}_*_log.err"))]
    if folders and not logs:
        return f"its jobs left no log in {next(iter(folders.values())).parent}: do the nodes see that folder?"
    return last_error(logs)


def unfinished_shards(data: NeededData) -> Shards:
    """The shards of the plan that are not written yet, or damaged."""
    if is_complete(data.folder, betons=False):
        return []
    work = work_folder(data)
    plan = Plan.load(work / PLAN_FILE)
    return [
        (number, task.file)
        for number, task in enumerate(plan.tasks)
        if finished_shard(work, data.folder / task.file) is None
    ]


def expected_shards(data: NeededData) -> Shards:
    """The same before planning, for a dry run: all shards, or a single one if the raw files are not available to count."""
    if is_complete(data.folder, betons=False):
        return []
    source, splits = data.source(), _counted(data)
    if splits is None:
        return [(0, "train-00000.arrow")]
    plan = Plan(
        name=data.name,
        options=dict(source.options),
        raw="",
        digest="",
        sources={},
        seed=0,
        rows_per_shard=default_rows_per_shard(source.image_shape()),
        splits=splits,
    )
    return [(number, task.file) for number, task in enumerate(plan.tasks)]


def why_not_counted(data: NeededData) -> str | None:
    """Why the number of shards is not known yet; None if it is known."""
    known = is_complete(data.folder, betons=False) or _counted(data) is not None
    return None if known else f"the raw files of {data.name} are not available to count"


def _counted(data: NeededData) -> dict[str, int] | None:
    """Rows of each split of the raw files; None if they are missing."""
    try:
        return dict(data.source().splits())
    except (UserError, OSError):
        return None


def _merge_note(data: NeededData) -> Path:
    return work_folder(data) / "merge-job.json"


def _noted_merge(data: NeededData) -> list[tuple[str, str]]:
    try:
        note = json.loads(_merge_note(data).read_bytes())
        return [(str(note["job"]), str(note["comment"]))]
    except (OSError, ValueError, KeyError, TypeError):
        return []
