"""What happened to a run, from its own records, its logs, and SLURM."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.cell import Cell
from tests.cluster.cluster import Cluster
from tests.faults.ranks import living_ranks, wait_until_gone
from tests.waiting import wait_for


def attempts(cell: Cell) -> list[dict[str, Any]]:
    """The attempts that the batch scripts saw end otherwise than done, oldest first."""
    try:
        lines = (cell.folder / "attempts.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def endings(cell: Cell) -> list[str]:
    """How these attempts ended."""
    return [attempt["ended"] for attempt in attempts(cell)]


def log_text(cell: Cell, rank: int = 0, unit: str = "train") -> str:
    """The log of a rank, over all attempts."""
    return (cell.folder / "log" / f"{unit}-rank{rank}.txt").read_text()


def restarts(cluster: Cluster, job: str) -> int:
    """How often SLURM has put a job back into the queue; -1 while it does not answer."""
    shown = cluster.run(["scontrol", "--oneliner", "show", "job", job]).stdout
    match = re.search(r"\bRestarts=(\d+)", shown)
    return int(match[1]) if match else -1


def wait_for_restart(
    cluster: Cluster, job: str, count: int, bound_s: float, story: Callable[[], str]
) -> float:
    """Wait until a job has been put back into the queue so often; the seconds that it took."""
    return wait_for(lambda: restarts(cluster, job) >= count, bound_s, story)


def state(cluster: Cluster, job: str) -> str:
    """SLURM's state of a job: PENDING, RUNNING, ...; empty while it does not answer."""
    shown = cluster.run(["scontrol", "--oneliner", "show", "job", job]).stdout
    match = re.search(r"\bJobState=(\w+)", shown)
    return match[1] if match else ""


def job_ids(cluster: Cluster, sweep: str) -> set[str]:
    """Ids of all jobs (arrays as one) that were ever submitted for a sweep, waiting ones included."""
    # Accounting does not list a job that waits for another; the queue does not list one that has ended.
    queue = ["squeue", "--noheader", "--format=%A|%F|%j"]
    accounts = ["sacct", "--noheader", "--parsable2", "--allocations", "--starttime=now-1hour"]
    rows = [line.split("|", 2) for line in cluster.run(queue).stdout.splitlines()]
    found = {array for _, array, name in rows if name.endswith(f"-{sweep}")}
    rows = [
        line.split("|", 1) for line in cluster.run([*accounts, "--format=JobID,JobName"]).stdout.splitlines()
    ]
    return found | {job.partition("_")[0] for job, name in rows if name.endswith(f"-{sweep}")}


@contextmanager
def held_back(cluster: Cluster, job: str, cell: Cell) -> Iterator[None]:
    """Requeue a running job, and let it restart only after the block."""
    ranks = living_ranks(cell)
    done = cluster.run(["scontrol", "requeuehold", job])
    assert done.returncode == 0, done.stderr
    wait_until_gone(ranks, 120, lambda: "")
    wait_for(lambda: state(cluster, job) == "PENDING")
    yield
    done = cluster.run(["scontrol", "release", job])
    assert done.returncode == 0, done.stderr
