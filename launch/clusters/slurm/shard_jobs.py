"""Resources of jobs that write shards, as options of ``prepare.py``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated

from launch.clusters.resources import Resources
from launch.command_line import described


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardJobs:
    """Resources of the jobs; what is not given is read from the cluster, or left to it. Each has one CPU."""

    partition: Annotated[str | None, described("NAME")] = None
    """partition (default: the cluster's)"""
    account: Annotated[str | None, described("NAME")] = None
    """account to charge (default: the user's)"""
    qos: Annotated[str | None, described("NAME")] = None
    """quality of service (default: the cluster's)"""
    constraint: Annotated[str | None, described("FEATURES")] = None
    """required features of the nodes (default: none)"""
    gpus: Annotated[int | str | None, described("GPUS")] = None
    """GPUs of a job, such as 1 or a100:1, for partitions that demand one (default: none)"""
    memory_gb: Annotated[float | None, described("GB")] = None
    """memory of a job in GB (default: the cluster's)"""
    hours: Annotated[float | None, described("HOURS")] = None
    """time limit of a job, which writes one shard (default: the partition's, at most 24)"""
    max_parallel: Annotated[int | None, described("N")] = None
    """number of shards written at the same time (default: as many as the cluster allows)"""
    retries: Annotated[int | None, described("N")] = None
    """how often a crashed job is restarted (default: 2)"""
    sbatch: Annotated[dict[str, str], described("NAME VALUE ...")] = field(default_factory=dict)
    """further options of sbatch: `--sbatch mail-type END exclusive true`; flags take `true`"""

    setup: Annotated[tuple[str, ...], described("LINE ...")] = ()
    """lines that a job's shell runs first: `--setup "module load cuda" "source env.sh"`"""

    def resources(self) -> Resources:
        """These as ``Resources``, those of small jobs; ConfigError if a value is invalid."""
        own = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        shared = {name: own.pop(name) for name in ("max_parallel", "retries", "setup")}
        return Resources(**shared, **{f"small_{name}": value for name, value in own.items()})
