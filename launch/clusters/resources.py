"""Resources requested from a cluster: on the command line, in a site's file, or by default."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from data_prep.errors import ConfigError, LaunchError
from launch.clusters.slurm.sbatch_options import long_name
from pipeline.field_checks import check_at_least

HOURS = 24.0
SIGNAL_DELAY_S = 90
RETRIES = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """Resources of a job; what is not given is read from the cluster, or left to it."""

    partition: str | None = None
    """partition (slurm); default: the cluster's"""
    account: str | None = None
    """account to charge (slurm); default: the user's"""
    qos: str | None = None
    """quality of service (slurm)"""
    constraint: str | None = None
    """required features of the nodes, such as `a100|h100` (slurm)"""
    nodes: int | None = None
    """number of nodes for the ranks of a run (slurm); default: as few as possible"""
    gpus_per_node: int | None = None
    """GPUs of a job on each node (slurm), or of this machine in total (local); 0: none; default: one per rank"""
    cpus_per_task: int | None = None
    """CPUs per rank (slurm); default: its share of the node, at most 16"""
    memory_gb: float | None = None
    """memory per node in GB (slurm); default: the cluster's"""
    hours: float | None = None
    """time limit, after which a job resumes from its checkpoint (slurm); default: the partition's, at most 24"""
    signal_delay_s: int | None = None
    """seconds before the time limit at which a job is signalled to write a checkpoint (slurm); default: 90"""
    max_parallel: int | None = None
    """number of cells at once; default: as many as the CPUs (local) or the cluster (slurm) allow"""
    retries: int | None = None
    """how often a crashed cell is restarted without a newer checkpoint in between; default: 2"""
    sbatch: Annotated[dict[str, str], tyro.conf.arg(metavar="NAME VALUE ...")] = field(default_factory=dict)
    """further options of sbatch: `--sbatch mail-type END exclusive true`; flags take `true` (slurm)"""

    def __post_init__(self) -> None:
        for name in ("partition", "account", "qos", "constraint"):
            _check_text(name, getattr(self, name))
        check_at_least(1, self, "nodes", "cpus_per_task", "max_parallel")
        check_at_least(0, self, "gpus_per_node", "signal_delay_s", "retries")
        # SLURM counts in whole minutes and whole MB, and treats 0 as "no limit".
        if self.hours is not None and not (math.isfinite(self.hours) and 60 * self.hours >= 1):
            raise ConfigError(f"hours is {self.hours}; it must be at least one minute (0.017)")
        if self.memory_gb is not None and not (math.isfinite(self.memory_gb) and 1024 * self.memory_gb >= 1):
            raise ConfigError(f"memory_gb is {self.memory_gb}; it must be at least 0.001")
        if self.hours is not None and (self.signal_delay_s or 0) >= 3600 * self.hours:
            raise ConfigError(
                f"signal_delay_s is {self.signal_delay_s}, which is all of the {self.hours:g} hours"
            )
        object.__setattr__(self, "sbatch", {long_name(name): text for name, text in self.sbatch.items()})
        for name, text in self.sbatch.items():
            _check_text(f"sbatch option {name}", text, or_empty=True)

    def given(self) -> dict[str, Any]:
        """The fields that are set."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value not in (None, {})}

    def over(self, other: Resources) -> Resources:
        """These, with unset fields taken from ``other``; further sbatch options are merged one by one."""
        return Resources(**(other.given() | self.given() | {"sbatch": other.sbatch | self.sbatch}))

    def completed(self) -> Resources:
        """These, with unset fields at their built-in defaults."""
        hours = HOURS if self.hours is None else self.hours
        # SLURM may send the signal a minute early: 90 s before a limit of a few minutes would leave no time to work.
        delay = min(SIGNAL_DELAY_S, int(600 * hours))
        return self.over(
            Resources(nodes=1, gpus_per_node=0, hours=hours, signal_delay_s=delay, retries=RETRIES)
        )

    def parameters(self, ranks: int) -> dict[str, Any]:
        """Submitit's parameters of a job of ``ranks`` ranks, one task each; what is unset is left to SLURM.

        Raises:
            LaunchError: the ranks cannot be spread evenly over the nodes.
        """
        whole = self.completed()
        nodes = min(whole.nodes or 1, ranks)
        if ranks % nodes:
            raise LaunchError(
                f"{ranks} ranks cannot be spread evenly over {nodes} nodes; choose another --nodes"
            )
        further = {name: True if text in ("", "true") else text for name, text in self.sbatch.items()}
        parameters: dict[str, Any] = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "nodes": nodes,
            "ntasks_per_node": ranks // nodes,
            "gpus_per_node": min(self.gpus_per_node or 0, ranks // nodes) or None,
            "cpus_per_task": self.cpus_per_task,
            "mem": None if self.memory_gb is None else f"{round(1024 * self.memory_gb)}M",
            "time": round(60 * (whole.hours or 0)),
            "signal_delay_s": whole.signal_delay_s,
            "additional_parameters": further or None,
        }
        return {name: value for name, value in parameters.items() if value is not None}


def _check_text(name: str, text: str | None, *, or_empty: bool = False) -> None:
    if text is None:
        return
    if not text.strip() and not or_empty:
        raise ConfigError(f"{name} is empty; omit it, or give a value")
    if not text.isprintable():
        raise ConfigError(f"{name} is {text!r}; line breaks and other control characters are not allowed")
