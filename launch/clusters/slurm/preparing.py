"""A data set prepared by SLURM: an array over its shards and a merge after it, submitted and waited for."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from data_prep.errors import LaunchError
from data_prep.lock import exclusive_lock
from data_prep.plan import PLAN_FILE, Plan
from data_prep.progress import Progress
from data_prep.stages import naming_unwritable_places
from launch.clusters.backend import folder_for_jobs
from launch.clusters.resources import Resources
from launch.clusters.slurm.backend import SlurmBackend
from launch.clusters.slurm.data import (
    expected_shards,
    merge_at_work,
    unfinished_shards,
    why_not_prepared,
    work_folder,
)
from launch.clusters.slurm.facts import ClusterFacts, facts_for_a_dry_run
from launch.clusters.slurm.node_check import check_on_a_node
from launch.clusters.slurm.preflight import sbatch_finding
from launch.clusters.slurm.queue import QueuedJob, queued
from launch.clusters.slurm.register import PREFIX, Register
from launch.clusters.slurm.snapshot import take_snapshot
from launch.plan import NeededData

SECONDS_BETWEEN_POLLS = 3.0
SECONDS_UNTIL_GONE = 10.0
"""How long to wait for a data set whose jobs have left the queue to appear: shared disks are slow."""


def describe(data: NeededData, resources: Resources, config_file: Path | None) -> str:
    """The arrays that would be submitted if nothing of the data set existed, with the exact text for sbatch."""
    return _backend(data, resources, config_file, facts_for_a_dry_run()).describe([], [data])


def prepare_on_slurm(
    data: NeededData, resources: Resources, config_file: Path | None, *, detach: bool = False
) -> bool:
    """Have a data set prepared and, unless ``detach``, wait for it; returns whether it is ready.

    The raw files are found, downloaded and checked here. Jobs of the same data set that are already queued, by this
    command or a sweep, are waited for and not submitted twice.

    Raises:
        UserError: raw files are missing or damaged, SLURM refuses the jobs, or a job failed, with its own message.
        KeyboardInterrupt: passed through; the jobs continue, and ``reattach_hint`` says what to do.
    """
    backend = _backend(data, resources, config_file)
    while not data.is_ready():
        folder = backend.sweep
        with (
            naming_unwritable_places(data.folder.parent),
            exclusive_lock(folder / "launch.lock", _print_waiting) as lock,
        ):
            queue = queued(comment=f"{PREFIX}/")
            merge = merge_at_work(data, Register(folder), queue)
            if merge is None and not backend.held:
                _look_before(backend, data)
            backend.prepare([data])
            before, left = len(Register(folder).submissions), 0 if merge else len(unfinished_shards(data))
            backend.submit([], lock)
        if backend.held and not detach:  # shards first; the rest when these are written
            _wait_for_own(data)
            if len(unfinished_shards(data)) < left or len(Register(folder).submissions) == before:
                continue
            raise LaunchError(f"{why_not_prepared(data.folder, Register(folder))} (logs: {folder / 'jobs'})")
        own, queue = Register(folder).newest("merge", data.folder.name), queued(comment=f"{PREFIX}/")
        merge = merge_at_work(data, Register(folder), queue)
        if detach:
            return False
        _wait(data, merge)
        if own is not None and merge in (None, own.job) and not data.is_ready():
            raise LaunchError(f"{why_not_prepared(data.folder, Register(folder))} (logs: {folder / 'jobs'})")
    return True


def reattach_hint(data: NeededData) -> str:
    """How to return to jobs that continue without this command."""
    jobs = sorted({job.partition("_")[0] for job in _own(data)})
    ends = f", and 'scancel {' '.join(jobs)}' ends them" if jobs else ""
    return (
        f"the jobs continue without this command: 'squeue --me' shows them, the same command waits for them again{ends};"
        f" their logs are in {shlex.quote(str(_jobs_of(data) / 'jobs'))}"
    )


def _jobs_of(data: NeededData) -> Path:
    """The folder of job folders, register and code: next to the data sets, whose own folders hold data only."""
    return data.folder.parent / ".jobs" / data.folder.name


def _backend(
    data: NeededData, resources: Resources, config_file: Path | None, facts: ClusterFacts | None = None
) -> SlurmBackend:
    return SlurmBackend(folder_for_jobs(_jobs_of(data)), resources, config_file=config_file, facts=facts)


def _look_before(backend: SlurmBackend, data: NeededData) -> None:
    resources = backend.jobs.of_small_job()
    remedy = "choose another --partition, or give each job a GPU (--gpus 1)"
    findings = [
        sbatch_finding(backend.jobs.shape_of_small_jobs(len(expected_shards(data)), remedy), backend.facts)
    ]
    if findings[0].level != "problem":
        code = take_snapshot(backend.sweep)
        findings += check_on_a_node(
            resources, folder=backend.sweep, data=[], tracking=None, code=code, option="--out"
        )
    for finding in findings:
        if finding.level == "warning":
            print(f"warning: {finding.sentence}", flush=True)
        if (
            finding.level == "problem"
        ):  # the first one explains the others, such as code in a folder that nodes do not see
            raise LaunchError(finding.sentence)


def _wait(data: NeededData, merge: str | None) -> None:
    """Wait until the merge has left the queue and, for a while, until its files are visible here."""
    with Progress(shown=True) as progress:
        previous, shown = "", -1
        while merge is not None:
            try:
                queue = queued(comment=f"{PREFIX}/")
            except LaunchError as error:
                previous = _say_new(progress, str(error), previous)
                time.sleep(SECONDS_BETWEEN_POLLS)
                continue
            if f"{merge}_0" not in queue:
                break
            shown = _show_written(data, progress, shown)
            previous = _say_new(progress, _queue_summary(_own(data, queue) or queue), previous)
            time.sleep(SECONDS_BETWEEN_POLLS)
    deadline = time.monotonic() + SECONDS_UNTIL_GONE
    while not data.is_ready() and time.monotonic() < deadline:
        time.sleep(min(1.0, SECONDS_BETWEEN_POLLS))


def _wait_for_own(data: NeededData) -> None:
    """Wait until no job of this data set is in the queue, at least for one poll."""
    tag = Register(_jobs_of(data)).tag
    while True:
        time.sleep(SECONDS_BETWEEN_POLLS)
        try:
            if not queued(comment=f"{tag}/"):
                return
        except LaunchError:
            continue


def _show_written(data: NeededData, progress: Progress, shown: int) -> int:
    """Advance the bar to the number of written shards; ``shown`` is its current number (-1: not started)."""
    work = work_folder(data)
    if not (work / PLAN_FILE).exists():
        return shown
    written = len(list(work.glob("*.arrow.json")))
    if shown < 0:
        progress.begin("shards", total=len(Plan.load(work / PLAN_FILE).tasks), done=written)
    elif written > shown:
        progress.advance(written - shown)
    return max(written, shown)


def _queue_summary(queue: Mapping[str, QueuedJob]) -> str:
    """How many tasks run, and why the others wait."""
    words = Counter("running" if job.is_running else job.explanation or "waiting" for job in queue.values())
    return "jobs: " + ", ".join(f"{count} {word}" for word, count in sorted(words.items()))


def _say_new(progress: Progress, line: str, previous: str) -> str:
    if line != previous:
        progress.say(line)
    return line


def _own(data: NeededData, queue: Mapping[str, QueuedJob] | None = None) -> dict[str, QueuedJob]:
    tag = Register(_jobs_of(data)).tag
    try:
        jobs = queued(comment=f"{tag}/") if queue is None else queue
    except LaunchError:
        return {}
    return {job: entry for job, entry in jobs.items() if entry.comment.startswith(f"{tag}/")}


def _print_waiting() -> None:
    print("another launcher is submitting jobs for this data set; waiting for it", flush=True)
