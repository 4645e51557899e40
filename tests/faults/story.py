"""What is known of a run's attempts afterwards: from its own records, its logs, and SLURM."""

from __future__ import annotations

import json
import re

from pipeline.cell import Cell
from tests.cluster.cluster import Cluster


def endings(cell: Cell) -> list[str]:
    """How the attempts ended that the batch scripts saw end, oldest first."""
    try:
        lines = (cell.folder / "attempts.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line)["ended"] for line in lines]


def told(cell: Cell, rank: int = 0, unit: str = "train") -> str:
    """What a rank said, in all its attempts."""
    return (cell.folder / "log" / f"{unit}-rank{rank}.txt").read_text()


def restarts(cluster: Cluster, job: str) -> int:
    """How often SLURM has put a job back into the queue; -1 while it does not answer."""
    shown = cluster.run(["scontrol", "--oneliner", "show", "job", job]).stdout
    match = re.search(r"\bRestarts=(\d+)", shown)
    return int(match[1]) if match else -1


def state(cluster: Cluster, job: str) -> str:
    """SLURM's state of a job: PENDING, RUNNING, ...; empty while it does not answer."""
    shown = cluster.run(["scontrol", "--oneliner", "show", "job", job]).stdout
    match = re.search(r"\bJobState=(\w+)", shown)
    return match[1] if match else ""
