"""The interface of all clusters, and what a person may ask of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from data_prep.errors import ConfigError
from pipeline.cell import Cell

ClusterName = Literal["local", "slurm", "debug"]
Phase = Literal["waiting", "training", "measuring", "done", "failed"]

# The last line of a traceback; torch puts the rank before it.
_ERROR = re.compile(
    r"^(\[rank\d+\]: )?(?P<whole>(?P<ours>data_prep\.errors\.)?[\w.]*(Error|Exception|Interrupt(ed)?): (?P<sentence>.+))$",
    re.M,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What jobs ask for; most of it is for SLURM only."""

    max_parallel: int | None = None
    """Cells at once. Default: as many as this machine has processors for (local), no limit (slurm)."""
    nodes: int = 1
    """Nodes over which the ranks of a cell are spread (slurm)."""
    gpus_per_node: int = 0
    """GPUs that a training job gets on each node; as many as it has ranks there, one each."""
    cpus_per_task: int | None = None
    """Processors for each rank (slurm)."""
    memory_gb: float | None = None
    """Memory of each node in GB (slurm)."""
    hours: float = 24.0
    """Time limit of a job (slurm)."""
    partition: str | None = None
    """Partition (slurm); the cluster's default without it."""
    account: str | None = None
    """Account to charge (slurm)."""
    qos: str | None = None
    """Quality of service (slurm)."""

    def __post_init__(self) -> None:
        for name in ("max_parallel", "nodes", "cpus_per_task"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; it must be at least 1")
        if self.hours <= 0:
            raise ConfigError(f"hours is {self.hours}; it must be above 0")


@dataclass(frozen=True, slots=True)
class State:
    """Where a cell stands."""

    phase: Phase
    detail: str = ""
    """Why it waits, or the sentence it failed with."""


class Backend(Protocol):
    """Runs the two units of each cell, training and then measuring."""

    def describe(self, cells: list[Cell]) -> str:
        """What submitting these cells would do, for a dry run."""
        ...

    def submit(self, cells: list[Cell]) -> None:
        """Take these cells on; those that run already are found again, not started twice."""
        ...

    def states(self) -> dict[str, State]:
        """Where each cell stands, by its name; also starts what may start now."""
        ...

    def interrupt(self, told: bool) -> str:
        """A person has pressed Ctrl-C (``told`` the second time): do what is right, and return what to tell them."""
        ...


def jobs_folder(sweep: Path) -> Path:
    """A new folder for this invocation's submitit files.

    A SLURM that was set up anew counts its jobs from 1 again, and would take old results for new ones.
    """
    folder = sweep / "jobs" / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    folder.mkdir(parents=True, mode=0o700)
    return folder


def last_error(logs: list[Path]) -> str:
    """The sentence that the ranks of a job ended with: an error of the user's first, else the last line of any."""
    found: list[re.Match[str]] = []
    for log in logs:
        if log.is_file():
            found.extend(_ERROR.finditer(log.read_text(errors="replace")))
    own = [match["sentence"] for match in found if match["ours"]]
    return ["ended without a word: killed, or its node was lost", *(match["whole"] for match in found), *own][
        -1
    ]
