"""What jobs that write shards may ask of a cluster, as options of ``prepare.py``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from launch.clusters.resources import Resources


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardJobs:
    """What the jobs ask of SLURM; what nobody names is read from the cluster, or left to it. Each has one processor."""

    partition: str | None = None
    """partition; the cluster's default one where none is named"""
    account: str | None = None
    """account to charge; the user's default one where none is named"""
    qos: str | None = None
    """quality of service"""
    constraint: str | None = None
    """features that the nodes must have"""
    memory_gb: float | None = None
    """memory of a job in GB; the cluster's default where none is given"""
    hours: float | None = None
    """time limit of a job, which writes one shard; the partition's, at most 24, where none is given"""
    max_parallel: int | None = None
    """shards that are written at the same time; as many as the cluster lets where none is given"""
    retries: int | None = None
    """how often a job that crashed is started again; 2 where none is given"""
    sbatch: Annotated[dict[str, str], tyro.conf.arg(metavar="NAME VALUE ...")] = field(default_factory=dict)
    """further options of sbatch: `--sbatch mail-type END exclusive true`; one that takes no value has `true`"""

    def resources(self) -> Resources:
        """The same as a sweep's launcher has it; ConfigError where a value cannot be meant."""
        return Resources(**{entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)})
