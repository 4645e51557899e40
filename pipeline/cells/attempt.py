"""An attempt: one start of a unit of work, identified among other starts of the same unit."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a unit by SLURM, or by hand."""

    job: str
    """SLURM's id of the job, ``12`` or ``12_3`` (array and task); empty outside SLURM."""
    restart: int
    """How often SLURM has requeued the job before this start."""
    host: str
    pid: int

    @classmethod
    def here(cls) -> Attempt:
        """The attempt that this process belongs to, from SLURM's environment variables."""
        variables = os.environ
        if "SLURM_ARRAY_JOB_ID" in variables and "SLURM_ARRAY_TASK_ID" in variables:
            job = f"{variables['SLURM_ARRAY_JOB_ID']}_{variables['SLURM_ARRAY_TASK_ID']}"
        else:
            job = variables.get("SLURM_JOB_ID", "")
        restart = int(variables.get("SLURM_RESTART_COUNT") or 0)
        return cls(job, restart if job else 0, socket.gethostname(), os.getpid())

    def is_older_copy_of(self, other: Attempt) -> bool:
        """Whether SLURM started ``other`` for the same job later, and so considers this one gone."""
        return bool(self.job) and self.job == other.job and self.restart < other.restart

    def is_same_start_as(self, other: Attempt) -> bool:
        """Whether both belong to one start of a SLURM job (its ranks, its batch script), or are one process."""
        if self.job or other.job:
            return (self.job, self.restart) == (other.job, other.restart)
        return (self.host, self.pid) == (other.host, other.pid)

    def __str__(self) -> str:
        if not self.job:
            return f"process {self.pid} on {self.host}"
        return f"job {self.job}, start {self.restart + 1}, process {self.pid} on {self.host}"
